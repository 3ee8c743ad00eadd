-- Words that the provider signed but that were not taken: another amount than asked for, or another outcome under an
-- event id that was used. Each is told once; the provider may correct itself under the same event id.
CREATE TABLE provider_dispute (
  event_id text NOT NULL,
  order_id uuid NOT NULL,
  succeeded boolean NOT NULL,
  amount bigint NOT NULL,
  currency char(3) NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (event_id, order_id, succeeded, amount, currency)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provider_dispute
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

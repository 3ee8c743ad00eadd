-- Channels, mailboxes, webhooks; dead letters that can be delivered again.

-- Its row is the user's mailbox: besides the last number the marks and wishes of its owner.
ALTER TABLE user_sequence RENAME TO mailbox;
ALTER TABLE mailbox
  ADD COLUMN read_through bigint NOT NULL DEFAULT 0,           -- everything up to here is read
  ADD COLUMN language text NOT NULL DEFAULT '',                -- '': the default language
  ADD COLUMN muted_types text[] NOT NULL DEFAULT '{}',         -- event types, '*' for all of them
  ADD COLUMN muted_channels smallint[] NOT NULL DEFAULT '{}',  -- of each: bits of notify::Channel
  ADD COLUMN endpoints int NOT NULL DEFAULT 0;                 -- webhook endpoints, enabled or not

ALTER TABLE notification
  ALTER COLUMN order_id DROP NOT NULL,
  ADD COLUMN channels smallint NOT NULL DEFAULT 7,  -- bits of notify::Channel: where its owner wants it
  ADD COLUMN read boolean NOT NULL DEFAULT false;   -- read by itself; see mailbox.read_through

ALTER TABLE dead_letter
  ADD COLUMN source text NOT NULL DEFAULT 'order',  -- the service whose event it is
  ADD COLUMN sequence bigint NOT NULL DEFAULT 0,
  ADD COLUMN occurred_at timestamptz NOT NULL DEFAULT 'epoch';
CREATE INDEX dead_letter_by_time ON dead_letter (created_at, event_id);

-- Where a user's notifications are sent by HTTP.
CREATE TABLE endpoint (
  endpoint_id uuid PRIMARY KEY,
  user_id text NOT NULL,
  url text NOT NULL,
  secret bytea NOT NULL,
  event_types text[] NOT NULL,     -- empty: all
  enabled boolean NOT NULL DEFAULT true,
  disabled_reason text NOT NULL DEFAULT '',
  times_disabled bigint NOT NULL DEFAULT 0,
  due_at timestamptz,              -- the earliest next_at of its pending deliveries
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, url)
);
CREATE INDEX endpoint_by_user ON endpoint (user_id, created_at, endpoint_id);
CREATE INDEX endpoint_due ON endpoint (due_at) WHERE enabled AND due_at IS NOT NULL;

-- One notification for one endpoint. A claim is a next_at in the future: it ends by itself.
CREATE TABLE delivery (
  delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint_id uuid NOT NULL REFERENCES endpoint ON DELETE CASCADE,
  user_id text NOT NULL,
  sequence bigint NOT NULL,           -- of the notification
  state smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),  -- notify::DeliveryState
  attempts int NOT NULL DEFAULT 0,    -- since it was last asked for; also the fence of a claim
  next_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (endpoint_id, sequence)
);
CREATE INDEX delivery_due ON delivery (endpoint_id, next_at, delivery_id) WHERE state = 1;
CREATE INDEX delivery_by_time ON delivery (endpoint_id, delivery_id);

-- The delivery log.
CREATE TABLE delivery_attempt (
  delivery_id bigint NOT NULL REFERENCES delivery ON DELETE CASCADE,
  attempted_at timestamptz NOT NULL DEFAULT now(),
  http_status int NOT NULL,  -- 0: there was no answer
  error text NOT NULL,       -- empty where it was delivered
  duration_ms bigint NOT NULL
);
CREATE INDEX delivery_attempt_by_time ON delivery_attempt (delivery_id, attempted_at);

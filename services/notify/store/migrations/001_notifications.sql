-- Notifications, made from events, each event exactly once.

-- Events whose effect is in this database.
CREATE TABLE handled_event (
  event_id text PRIMARY KEY,
  handled_at timestamptz NOT NULL DEFAULT now()
);

-- The last number in each user's list. Its row is locked from giving a number to commit, so numbers become visible in
-- order.
CREATE TABLE user_sequence (
  user_id text PRIMARY KEY,
  last bigint NOT NULL
) WITH (fillfactor = 50);  -- counted up in place (HOT)

CREATE TABLE notification (
  user_id text NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  event_id text NOT NULL,
  type text NOT NULL,
  order_id uuid NOT NULL,
  text text NOT NULL,
  occurred_at timestamptz NOT NULL,
  PRIMARY KEY (user_id, sequence)
);

-- Events that could not be read. Also in handled_event.
CREATE TABLE dead_letter (
  event_id text PRIMARY KEY,
  stream_id text NOT NULL,
  type text NOT NULL,
  data bytea NOT NULL,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- The words of names, titles and addresses, folded by the program. The kinds are numbered in src/search/mod.rs. A search
-- finds words by their beginning through the key, and checks an object through the index.
CREATE TABLE search_words (
    kind      INTEGER NOT NULL,
    word      TEXT    NOT NULL,
    object_id INTEGER NOT NULL,
    PRIMARY KEY (kind, word, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX search_words_of_an_object ON search_words (kind, object_id, word);

-- Each row has the version that its words were made from. An earlier program changes the version alone, so rows whose
-- words are missing or old are found quickly, and a job makes their words.
ALTER TABLE movies ADD COLUMN words_version INTEGER;
ALTER TABLE movies ADD COLUMN
    lacks_words INTEGER GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
CREATE INDEX movies_without_words ON movies (id) WHERE lacks_words = 1;

ALTER TABLE screens ADD COLUMN words_version INTEGER;
ALTER TABLE screens ADD COLUMN
    lacks_words INTEGER GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
CREATE INDEX screens_without_words ON screens (id) WHERE lacks_words = 1;

ALTER TABLE users ADD COLUMN words_version INTEGER;
ALTER TABLE users ADD COLUMN
    lacks_words INTEGER GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
CREATE INDEX users_without_words ON users (id) WHERE lacks_words = 1;

ALTER TABLE staff_groups ADD COLUMN words_version INTEGER;
ALTER TABLE staff_groups ADD COLUMN
    lacks_words INTEGER GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
CREATE INDEX staff_groups_without_words ON staff_groups (id) WHERE lacks_words = 1;

-- The two halves of the codes of orders, as numbers, since a half can't be decrypted. A job adds them after an order was
-- made, so that booking costs no more.
CREATE TABLE order_codes (
    half     INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    PRIMARY KEY (half, order_id)
) STRICT, WITHOUT ROWID;
ALTER TABLE orders ADD COLUMN has_code INTEGER;
CREATE INDEX orders_without_code ON orders (id) WHERE has_code IS NULL AND status <> 'held';

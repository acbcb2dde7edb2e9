-- The words of names, titles and addresses, folded by the program. The kinds are numbered in src/search/mod.rs. A search
-- finds words by their beginning through the key, and checks an object through the index. Words are compared as bytes.
CREATE TABLE IF NOT EXISTS search_words (
    kind      SMALLINT       NOT NULL,
    word      VARBINARY(120) NOT NULL,
    object_id BIGINT         NOT NULL,
    PRIMARY KEY (kind, word, object_id),
    KEY search_words_of_an_object (kind, object_id, word)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Each row has the version that its words were made from. An earlier program changes the version alone, so rows whose
-- words are missing or old are found quickly, and a job makes their words. Each column has a statement of
-- its own, which is instant.
ALTER TABLE movies ADD COLUMN words_version BIGINT;
ALTER TABLE movies ADD COLUMN
    lacks_words TINYINT GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
ALTER TABLE movies ADD KEY movies_without_words (lacks_words);

ALTER TABLE screens ADD COLUMN words_version BIGINT;
ALTER TABLE screens ADD COLUMN
    lacks_words TINYINT GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
ALTER TABLE screens ADD KEY screens_without_words (lacks_words);

ALTER TABLE users ADD COLUMN words_version BIGINT;
ALTER TABLE users ADD COLUMN
    lacks_words TINYINT GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
ALTER TABLE users ADD KEY users_without_words (lacks_words);

ALTER TABLE staff_groups ADD COLUMN words_version BIGINT;
ALTER TABLE staff_groups ADD COLUMN
    lacks_words TINYINT GENERATED ALWAYS AS (CASE WHEN words_version = version THEN NULL ELSE 1 END) VIRTUAL;
ALTER TABLE staff_groups ADD KEY staff_groups_without_words (lacks_words);

-- The two halves of the codes of orders, as numbers, since a half can't be decrypted. A job adds them after an order was
-- made, so that booking costs no more.
CREATE TABLE IF NOT EXISTS order_codes (
    half     INT    NOT NULL,
    order_id BIGINT NOT NULL,
    PRIMARY KEY (half, order_id)
) ENGINE = InnoDB;
ALTER TABLE orders ADD COLUMN has_code TINYINT;
ALTER TABLE orders ADD KEY orders_without_code (has_code);

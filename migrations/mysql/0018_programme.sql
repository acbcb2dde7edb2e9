-- What a programme says about a movie. Genres are names separated by ", ". A rating is that of a system, such as FSK or
-- MPA. A release date is YYYY-MM-DD. An empty text stands for an unknown value. `poster` is the hash of its poster, in
-- hexadecimal digits; see the table posters.
ALTER TABLE movies ADD COLUMN original_title VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN synopsis VARCHAR(5000) NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN genres VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN rating VARCHAR(20) NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN rating_system VARCHAR(20) NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN release_date VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN distributor VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN imdb_id VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN tmdb_id BIGINT;
ALTER TABLE movies ADD COLUMN poster VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';

-- The version that a show plays. Languages are BCP 47 tags; labels, such as OV and OmU, are separated by ", ".
ALTER TABLE shows ADD COLUMN format VARCHAR(20) NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN language VARCHAR(35) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN subtitles VARCHAR(35) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN labels VARCHAR(60) NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN audio_description TINYINT NOT NULL DEFAULT 0;
ALTER TABLE shows ADD COLUMN captions TINYINT NOT NULL DEFAULT 0;
ALTER TABLE shows ADD COLUMN relaxed TINYINT NOT NULL DEFAULT 0;
-- How many minutes of advertising and trailers come before the feature.
ALTER TABLE shows ADD COLUMN pre_show_minutes BIGINT NOT NULL DEFAULT 0;
-- If not NULL, the show is in no list, and opens only to those who have this key.
ALTER TABLE shows ADD COLUMN unlisted_key VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin;

-- Posters as JPEG files in three sizes, by the SHA-256 of the largest one. Nothing changes a row.
CREATE TABLE IF NOT EXISTS posters (
    hash       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    width      BIGINT     NOT NULL,
    height     BIGINT     NOT NULL,
    small      MEDIUMBLOB NOT NULL,
    medium     MEDIUMBLOB NOT NULL,
    large      MEDIUMBLOB NOT NULL,
    created_at BIGINT     NOT NULL
) ENGINE = InnoDB;

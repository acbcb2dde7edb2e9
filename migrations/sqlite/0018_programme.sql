-- What a programme says about a movie. Genres are names separated by ", ". A rating is that of a system, such as FSK or
-- MPA. A release date is YYYY-MM-DD. An empty text stands for an unknown value.
ALTER TABLE movies ADD COLUMN original_title TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN synopsis TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN genres TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN rating TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN rating_system TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN release_date TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN distributor TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN imdb_id TEXT NOT NULL DEFAULT '';
ALTER TABLE movies ADD COLUMN tmdb_id INTEGER;
-- The hash of its poster, in hexadecimal digits; see the table posters.
ALTER TABLE movies ADD COLUMN poster TEXT NOT NULL DEFAULT '';

-- The version that a show plays. Languages are BCP 47 tags; labels, such as OV and OmU, are separated by ", ".
ALTER TABLE shows ADD COLUMN format TEXT NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN subtitles TEXT NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN labels TEXT NOT NULL DEFAULT '';
ALTER TABLE shows ADD COLUMN audio_description INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shows ADD COLUMN captions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE shows ADD COLUMN relaxed INTEGER NOT NULL DEFAULT 0;
-- How many minutes of advertising and trailers come before the feature.
ALTER TABLE shows ADD COLUMN pre_show_minutes INTEGER NOT NULL DEFAULT 0;
-- If not NULL, the show is in no list, and opens only to those who have this key.
ALTER TABLE shows ADD COLUMN unlisted_key TEXT;

-- Posters as JPEG files in three sizes, by the SHA-256 of the largest one. Nothing changes a row.
CREATE TABLE posters (
    hash       TEXT    PRIMARY KEY,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    small      BLOB    NOT NULL,
    medium     BLOB    NOT NULL,
    large      BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

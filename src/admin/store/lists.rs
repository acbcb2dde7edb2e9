//! Lists, counts, filters and searches.

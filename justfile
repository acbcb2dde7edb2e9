# Shortcuts. The commands themselves are in .ci/run, which also runs without just.

# List the recipes.
default:
    @just --list

# Run the whole gate.
ci:
    .ci/run

# Install what the gate needs on a Debian machine.
prepare:
    .ci/run prepare

# Check the form, and run clippy.
lints:
    .ci/run lints

# Run all tests on every engine.
tests:
    .ci/run tests

# Let a database node die under load.
failover:
    .ci/run failover

# Open the pages in a browser.
browser:
    .ci/run browser

# Fuzz the schema, and generate clients from it.
schema:
    .ci/run schema

# Test one feature on SQLite: `just feature orders`.
feature name:
    MARQUEE_TEST_DATABASES=sqlite cargo test --test it sqlite::{{name}}

# Write the tables of settings and metrics into the documents.
bless:
    MARQUEE_BLESS=1 cargo test --lib -- the_documents_show_the_table the_document_lists_every_metric

# Start the demo.
demo:
    cargo run --release -- serve --demo

# `make demo` and `make test` are all that a newcomer needs. CARGO_TARGET_DIR, where set, is honoured.

SHELL := bash
cargo_deny := 0.20.2

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz bench lint guests build setup-lint clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what this machine lacks (quick when it lacks nothing)
	@scripts/setup

demo: build guests ## Run processors on a live stream, on this machine
	scripts/demo

# `cargo test` and not nextest: nothing more to install, doc tests run, and tests of one binary share what they set up.
test: build guests ## Build and run every test
	cd guests && cargo test --locked --no-fail-fast
	cargo test --workspace --locked --no-fail-fast

# SEED is the first case; SECONDS is how long it goes on, 0 without end. A case that fails is kept in target/fuzz.
fuzz: SEED ?= $(shell date +%s)
fuzz: SECONDS ?= 0
fuzz: build guests ## Run components made at random until one does harm (SEED=…, SECONDS=…)
	@echo "from seed $(SEED) on"
	RILLBOX_FUZZ_SEED=$(SEED) RILLBOX_FUZZ_SECONDS=$(SECONDS) cargo test --workspace --locked --test random \
		-- --nocapture --exact random_components_neither_panic_nor_hang_nor_grow

bench: setup guests ## Measure a release build, all of it: 30 minutes
	cargo build --release --locked --package rillbox
	scripts/bench all

lint: setup-lint ## Formatting, clippy, licences and sources of dependencies
	cargo fmt --all --check
	cd guests && cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd guests && cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo deny --locked check bans licenses sources
	cargo deny --locked --manifest-path guests/Cargo.toml --config deny.toml check bans licenses sources

guests: setup ## Build the guests as WebAssembly components
	guests/build --locked

# Tests start the host's binary, which `cargo test` alone would not build. One command for demo and tests, because cargo
# compiles tokio, wasmtime-wasi and what is above them anew when the set of packages changes the features in use.
build: setup
	cargo build --workspace --all-targets --locked

# Only lint needs cargo-deny, which takes minutes to compile, and longer with the link-time optimisation that it asks for.
setup-lint: setup
	@cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || rustup component add rustfmt clippy
	@cargo deny --version >/dev/null 2>&1 || env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_LTO=off \
		cargo install --locked cargo-deny --version $(cargo_deny)

clean: ## Remove what was built
	cargo clean
	cargo clean --manifest-path guests/Cargo.toml --target-dir guests/target

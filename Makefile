# kvds: what can be done here. `make help` lists it.
#
# Cargo does the building; this file sees to what cargo can't: that the tools are there
# (scripts/setup), that the C and C++ compilers are always called the same way, so that RocksDB is
# not compiled twice, and that a build of minutes tells how far it is (scripts/build).

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET_DIR)/release
PACKAGE = $(TARGET_DIR)/package

# The compilers: those of the user, from the command line or the environment, as they are. Else gcc
# (or cc), through ccache where there is one. Looked up when a recipe runs, as setup may have
# installed them just before.
found = $(shell command -v $(1) 2>/dev/null)
chosen = $(filter-out default undefined,$(origin $(1)))
cached = $(if $(call found,ccache),ccache )$(if $(call found,$(1)),$(1),$(2))
USER_CC := $(if $(call chosen,CC),$(CC))
USER_CXX := $(if $(call chosen,CXX),$(CXX))
BUILD_CC = $(or $(USER_CC),$(call cached,gcc,cc))
BUILD_CXX = $(or $(USER_CXX),$(call cached,g++,c++))
RUN = CC="$(BUILD_CC)" CXX="$(BUILD_CXX)" scripts/build $(CARGO)

# Chores in Rust. Root installs with this program and compiles nothing.
XTASK = $(TARGET_DIR)/debug/xtask

# The API reference. Its man pages are installed from here.
MAN = $(TARGET_DIR)/docs/man/man3

# All that is C and C++, but for what include/kvds.h is generated from and to.
FORMATTED = $(filter-out include/kvds.h src/ffi/prologue.h,$(shell find bench ctests examples include \
	src tests -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cc'))

# All that is shell.
SHELL_SCRIPTS = $(wildcard scripts/* bindings/*/test) tests/packages/use fuzz/minimise .ci/run

# The texts whose words `make demo` counts.
TEXT ?= LICENSE-APACHE README.md
WORDCOUNT = $(TARGET_DIR)/demo/wordcount

##@ Use it

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))
	@echo

.PHONY: demo
demo: build ## Count the words of TEXT="FILE..." with the C example (examples/c/wordcount.c)
	@mkdir -p $(dir $(WORDCOUNT))
	$(BUILD_CC) -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -Iinclude examples/c/wordcount.c \
		-L$(RELEASE) -lkvds -pthread -Wl,-rpath,$(abspath $(RELEASE)) -o $(WORDCOUNT)
	@echo
	$(WORDCOUNT) $(TEXT)

.PHONY: build
build: setup ## Build the release library and its man pages: libkvds.so and libkvds.a in target/release
	$(RUN) build --release
	@$(CARGO) xtask uninstalled $(RELEASE)
	@stat -c %s $(RELEASE)/libkvds.so | awk '{ printf "$(RELEASE)/libkvds.so: %.1f MiB stripped\n", $$1 / 1048576 }'
	@$(MAKE) --no-print-directory $(PACKAGE)/libkvds.a man

.PHONY: docs
docs: setup-docs man ## Build the API reference as HTML and man pages: target/docs
	@rm -rf $(TARGET_DIR)/docs/html $(TARGET_DIR)/docs/xml
	@(cat docs/Doxyfile && echo 'OUTPUT_DIRECTORY = $(TARGET_DIR)/docs') | doxygen -
	mandoc -Tlint $$(grep -L '^\.so ' $(MAN)/*.3)
	@echo "make docs: $(TARGET_DIR)/docs/html/index.html, and man -M $(TARGET_DIR)/docs/man kvds"

.PHONY: man
man: $(MAN)/kvds.3 ## Build the man pages of the API reference alone: target/docs/man

$(MAN)/kvds.3: abi/api.json xtask/src/man.rs
	@$(CARGO) xtask man $(MAN)

##@ Install it

# Where to, as everywhere: PREFIX, or the single directories. DESTDIR is put before all of them and
# is no part of their names.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
export DESTDIR PREFIX LIBDIR INCLUDEDIR DATADIR TARGET_DIR

.PHONY: install
install: $(PACKAGE)/libkvds.a $(XTASK) man ## Install to PREFIX=/usr/local what was built (building it first if nothing is)
	@$(XTASK) install

.PHONY: uninstall
uninstall: $(XTASK) ## Remove what was installed to PREFIX=/usr/local
	@$(XTASK) uninstall

.PHONY: deb
deb: setup-deb $(PACKAGE)/libkvds.a $(XTASK) man ## Make the Debian packages libkvds0 and libkvds-dev in target/debian
	@rm -rf $(TARGET_DIR)/debian
	@mkdir -p $(TARGET_DIR)/debian
	@# Without a check of the build dependencies: Rust comes from rustup where Debian's is too old.
	TARGET_DIR=$(abspath $(TARGET_DIR)) dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo \
		--no-check-builddeps --post-clean \
		--buildinfo-option=-u$(TARGET_DIR)/debian --changes-option=-u$(TARGET_DIR)/debian \
		--buildinfo-file=$(TARGET_DIR)/debian/kvds.buildinfo --changes-file=$(TARGET_DIR)/debian/kvds.changes

# Root often installs, and should not build. So `make build` makes this, the man pages and xtask
# too, and `make install` takes what is there.
$(PACKAGE)/libkvds.a: $(RELEASE)/libkvds.a abi/api.json xtask/src/static_library.rs
	@rustc --version >/dev/null || { echo "make: rustc, which has the notices of its standard library, does not run" >&2; exit 1; }
	@mkdir -p $(@D)
	$(CARGO) xtask static-library $< $@
	@cp "$$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" $(@D) 2>/dev/null || \
		echo "make: this Rust comes without the notices of its standard library" >&2

$(RELEASE)/libkvds.a:
	$(MAKE) build

$(XTASK):
	$(CARGO) build --package xtask

##@ Change it

.PHONY: test
test: setup-test ## Run all tests: with the disk engine, without it, and the C tests on the release library too
	$(RUN) test
	$(RUN) test --no-default-features
	$(RUN) build --release
	KVDS_LIBRARY=$(abspath $(RELEASE))/libkvds.so $(RUN) test --test exports --test c
	$(CARGO) xtask bindings test
	@echo
	@echo "make test: all tests passed, with the disk engine and without."

.PHONY: check
check: setup-check ## Check format, lints, generated files, the layers, the ABI and the licenses of crates
	$(RUN) fmt --all --check
	$(RUN) clippy --workspace --all-targets -- -D warnings
	$(RUN) clippy --all-targets --no-default-features -- -D warnings
	$(RUN) test --package xtask --features source
	$(RUN) test --test header --test layers --test third_party
	@$(CARGO) xtask declarations --check
	@CC="$(BUILD_CC)" $(CARGO) xtask abi
	@clang-format --dry-run -Werror $(FORMATTED) || { echo "make check: run  make format" >&2; exit 1; }
	shellcheck $(SHELL_SCRIPTS)
	$(if $(call found,cargo-deny),$(CARGO) deny --workspace check licenses bans sources,\
		@echo "make check: the licenses of crates are not checked, as there is no cargo-deny (cargo install cargo-deny)")
	@echo
	@echo "make check: nothing to complain about."

.PHONY: format
format: setup-check ## Format Rust, C and C++
	$(CARGO) fmt --all
	clang-format -i $(FORMATTED)

.PHONY: ctest
ctest: setup-test ## Run the C tests alone
	$(RUN) test --test c

.PHONY: test-bindings
test-bindings: build ## Run the tests of all other languages, and install the languages that are missing
	$(CARGO) xtask bindings test --all

# Builds of their own, as everything in them is compiled with another cfg.
models_of = RUSTFLAGS="$(RUSTFLAGS) --cfg $(1)" $(RUN) test --profile model --no-default-features \
	--target-dir $(TARGET_DIR)/$(1) --test $(1)

.PHONY: models
models: setup-models ## Try the concurrency out in models, with loom and shuttle (KVDS_MODEL_RUNS=1000000 for longer)
	$(call models_of,loom)
	$(call models_of,shuttle)

.PHONY: memcheck
memcheck: setup-memcheck ## Run the C and C++ tests under valgrind
	KVDS_VALGRIND=1 $(RUN) test --test c --test cpp

.PHONY: race
race: setup-sanitize ## Run tests with threads under ThreadSanitizer (nightly Rust; the engine in memory)
	CC="$(BUILD_CC)" CXX="$(BUILD_CXX)" CARGO_TARGET_DIR=$(TARGET_DIR) scripts/sanitize thread

.PHONY: asan
asan: setup-sanitize ## Run tests under AddressSanitizer and LeakSanitizer (nightly Rust; with the engine on disk)
	CC="$(BUILD_CC)" CXX="$(BUILD_CXX)" CARGO_TARGET_DIR=$(TARGET_DIR) scripts/sanitize address

.PHONY: crash
crash: setup-test ## Kill a writing process, and cut its power, 200 and 3 x 100 times (CRASH_ROUNDS, POWERCUT_ROUNDS)
	KVDS_CRASH_ROUNDS=$(or $(CRASH_ROUNDS),200) $(RUN) test --test crash -- --nocapture
	KVDS_POWERCUT_ROUNDS=$(or $(POWERCUT_ROUNDS),100) $(RUN) test --test powercut -- --nocapture

.PHONY: damage
damage: setup-test ## Damage every byte of a small store, one after the other, and read what is left (half an hour or more)
	KVDS_DAMAGE=all $(RUN) test --test damage -- --nocapture

.PHONY: field
field: setup-test ## Run the tests of faults that users of stores reported, at their full sizes (some minutes)
	KVDS_FIELD=full $(RUN) test --release --test field -- --nocapture --test-threads=1
	KVDS_FIELD=full $(RUN) test --release --test c

.PHONY: soak
soak: setup-test ## Make, use and drop stores for MINUTES=30, and see that memory, threads and files level off
	KVDS_SOAK_MINUTES=$(or $(MINUTES),30) $(RUN) test --release --test soak -- --nocapture stores_come_and_go

# Each target goes on from its seeds and from what it found before, in fuzz/corpus. What fails is in
# fuzz/artifacts. Directories of disk stores are in memory where there is a place for that: RocksDB
# syncs a lot.
FUZZ = LSAN_OPTIONS=suppressions=$(CURDIR)/fuzz/leaks:print_suppressions=0 \
	TMPDIR=$(or $(wildcard /dev/shm),/tmp) KVDS_CC="$(BUILD_CC)" KVDS_CXX="$(BUILD_CXX)" \
	CC=$(CURDIR)/scripts/uninstrumented CXX=$(CURDIR)/scripts/uninstrumented++ $(CARGO) +nightly fuzz
FUZZ_TARGETS = operations boundary identifiers

.PHONY: fuzz
fuzz: setup-fuzz ## Make up inputs for SECONDS=600 a target (ONLY=one of operations, boundary, identifiers)
	@mkdir -p $(FUZZ_TARGETS:%=fuzz/corpus/%)
	@set -e; for target in $(or $(ONLY),$(FUZZ_TARGETS)); do \
		$(FUZZ) run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(or $(SECONDS),600) -timeout=120 -print_final_stats=1; \
	done
	@echo "make fuzz: nothing found."

.PHONY: fuzz-seeds
fuzz-seeds: setup-fuzz ## Replace fuzz/seeds by the smallest inputs that reach what fuzz/corpus and it reach
	@set -e; for target in $(or $(ONLY),$(FUZZ_TARGETS)); do fuzz/minimise $$target $(FUZZ); done

.PHONY: test-packages
test-packages: setup-packages build deb ## Install, use and remove the library by every way there is (debootstrap as root, once)
	$(CARGO) xtask test-packages

# kvds beside other stores. What else can be chosen, target/release/kvds-bench --help tells.
.PHONY: bench
bench: setup-bench build ## Measure kvds beside other stores (ONLY=memory or disk: five minutes each; FULL=1 the whole)
	$(RUN) build --release --package kvds-bench
	$(RUN) build --release --package kvds-boundary
	$(RELEASE)/kvds-bench $(if $(FULL),--full) $(if $(ONLY),--only $(ONLY))

.PHONY: bench-counts
bench-counts: setup-bench build ## Count the instructions of a call with callgrind (ten minutes)
	$(RUN) build --release --package kvds-boundary
	$(RELEASE)/kvds-boundary $(RELEASE)/libkvds.so

.PHONY: bench-decisions
bench-decisions: setup-bench build ## Measure what decisions in docs/decisions rest on
	$(RUN) build --release --package kvds-bench
	$(RELEASE)/kvds-bench load
	$(RELEASE)/kvds-bench alternatives

.PHONY: header
header: ## Write include/kvds.h, abi/api.json and the declarations of the bindings from the source
	$(CARGO) run --quiet --package xtask --features source -- header

.PHONY: abi
abi: setup-check ## Check that programs that are compiled already go on: include/kvds.h against abi/kvds.abi
	@CC="$(BUILD_CC)" $(CARGO) xtask abi
	@echo "make abi: compatible."

.PHONY: abi-update
abi-update: setup-check ## Write abi/kvds.abi anew, to promise what was added (or, before a new SONAME, to break)
	@CC="$(BUILD_CC)" $(CARGO) xtask abi --update

.PHONY: third-party
third-party: setup-test ## Write THIRD-PARTY anew from the sources of what is linked in
	KVDS_WRITE_THIRD_PARTY=1 $(RUN) test --test third_party

.PHONY: setup
setup: ## Check that the needed tools are there, and install what is missing (apt-get)
	@scripts/setup build

.PHONY: setup-test setup-check setup-models setup-memcheck setup-sanitize setup-docs setup-deb setup-packages setup-bench setup-fuzz
setup-test setup-check setup-models setup-memcheck setup-sanitize setup-docs setup-deb setup-packages setup-bench setup-fuzz:
	@scripts/setup $(@:setup-%=%)

.PHONY: clean
clean: ## Remove everything that was built, RocksDB too (a later build takes minutes again)
	$(CARGO) clean

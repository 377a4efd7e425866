# `make help` lists the targets.
#
# Cargo builds. This file adds what cargo cannot do:
# - it installs missing tools (scripts/setup)
# - it always calls the C and C++ compilers the same way, so that RocksDB is compiled once
# - it shows the progress of a long build (scripts/build)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET_DIR)/release
PACKAGE = $(TARGET_DIR)/package

# The compilers: CC and CXX from the command line or the environment. Otherwise gcc (or cc), through
# ccache if it is installed. They are looked up when a recipe runs, as setup may install them first.
found = $(shell command -v $(1) 2>/dev/null)
chosen = $(filter-out default undefined,$(origin $(1)))
cached = $(if $(call found,ccache),ccache )$(if $(call found,$(1)),$(1),$(2))
USER_CC := $(if $(call chosen,CC),$(CC))
USER_CXX := $(if $(call chosen,CXX),$(CXX))
BUILD_CC = $(or $(USER_CC),$(call cached,gcc,cc))
BUILD_CXX = $(or $(USER_CXX),$(call cached,g++,c++))
RUN = CC="$(BUILD_CC)" CXX="$(BUILD_CXX)" scripts/build $(CARGO)

# The program kvds and its tests link with the library of this build.
unexport KVDS_LIB_DIR

# Chores in Rust. `make install` as root runs this program and compiles nothing.
XTASK = $(TARGET_DIR)/debug/xtask

# The man pages of the interface and of the program kvds, which are installed from here, and the
# scripts that complete its command line.
MAN = $(TARGET_DIR)/docs/man/man3
MAN1 = $(TARGET_DIR)/docs/man/man1
COMPLETIONS = $(TARGET_DIR)/completions

# What is installed and packaged.
PACKAGED = $(PACKAGE)/libkvds.a $(XTASK) man program-files

# All C and C++ files, except the generated include/kvds.h and its source.
FORMATTED = $(filter-out include/kvds.h src/ffi/prologue.h,$(shell find bench ctests examples \
	include rocksdb src tests -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cc'))

SHELL_SCRIPTS = $(wildcard scripts/* bindings/*/test) tests/packages/use fuzz/minimize .ci/run

# `make demo` counts the words of these files.
TEXT ?= LICENSE-APACHE README.md
WORDCOUNT = $(TARGET_DIR)/demo/wordcount
# The store that the demonstration leaves.
WORDS = $(TARGET_DIR)/demo/data
CLUSTER_LOCK = $(TARGET_DIR)/demo/cluster_lock

##@ Use

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo

.PHONY: demo
demo: build ## Count the words of TEXT="FILE..." with examples/c/wordcount.c
	@mkdir -p $(dir $(WORDCOUNT))
	$(BUILD_CC) -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -Iinclude examples/c/wordcount.c \
		-L$(RELEASE) -lkvds -pthread -Wl,-rpath,$(abspath $(RELEASE)) -o $(WORDCOUNT)
	@echo
	@rm -rf $(WORDS)
	$(WORDCOUNT) -d $(WORDS) $(TEXT)
	@echo
	$(RELEASE)/kvds --base $(WORDS) wordcount scan --limit 5
	$(RELEASE)/kvds --base $(WORDS) wordcount stat

.PHONY: cluster
cluster: setup-cluster build ## Start three etcd servers here, and run an example on them
	@scripts/cluster start
	@mkdir -p $(dir $(CLUSTER_LOCK))
	$(BUILD_CC) -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -Iinclude \
		examples/c/cluster_lock.c -L$(RELEASE) -lkvds -pthread \
		-Wl,-rpath,$(abspath $(RELEASE)) -o $(CLUSTER_LOCK)
	@echo
	$(CLUSTER_LOCK) $$(scripts/cluster url)

.PHONY: cluster-stop
cluster-stop: ## End the servers of make cluster, and remove their data
	@scripts/cluster stop

.PHONY: build
build: setup ## Build the libraries and the program kvds in target/release, and the man pages
	@# xtask and the crates of the program are compiled in the gaps that RocksDB and kvds leave. If
	@# that fails, the next lines say so. The program itself needs the library.
	nice $(CARGO) build --quiet --package xtask & \
		nice $(CARGO) build --quiet --profile program --package kvds-cli --lib & \
		$(RUN) build --release && wait
	@$(CARGO) xtask uninstalled $(RELEASE)
	$(CARGO) build --profile program --package kvds-cli
	@ln -f $(TARGET_DIR)/program/kvds $(RELEASE)/kvds
	@stat -c %s $(RELEASE)/libkvds.so | \
		awk '{ printf "$(RELEASE)/libkvds.so: %.1f MiB stripped\n", $$1 / 1048576 }'
	@$(MAKE) --no-print-directory $(PACKAGE)/libkvds.a man program-files

.PHONY: docs
docs: setup-docs man ## Build the API reference as HTML and man pages in target/docs
	@rm -rf $(TARGET_DIR)/docs/html $(TARGET_DIR)/docs/xml
	@(cat docs/Doxyfile && echo 'OUTPUT_DIRECTORY = $(TARGET_DIR)/docs') | doxygen -
	mandoc -Tlint $$(grep -L '^\.so ' $(MAN)/*.3)
	@# Generated pages have long lines.
	[ ! -d $(MAN1) ] || mandoc -Tlint -Wwarning $(MAN1)/*.1
	@echo "make docs: $(TARGET_DIR)/docs/html/index.html, and man -M $(TARGET_DIR)/docs/man kvds"

.PHONY: man
man: $(MAN)/kvds.3 ## Build the man pages of the interface alone in target/docs/man

$(MAN)/kvds.3: abi/api.json xtask/src/man.rs
	@$(CARGO) xtask man $(MAN)

# The program writes these itself, as only it has the definition of its command line.
.PHONY: program-files
program-files: $(MAN1)/kvds.1

$(MAN1)/kvds.1: $(RELEASE)/kvds
	@rm -rf $(MAN1) $(COMPLETIONS)
	@mkdir -p $(COMPLETIONS)
	@KVDS_COMPLETE=bash $< >$(COMPLETIONS)/kvds
	@# zsh calls the file itself the first time, and then the function that it defines.
	@{ KVDS_COMPLETE=zsh $< && \
		echo '[ "$${funcstack[1]}" != _kvds ] || _clap_dynamic_completer_kvds "$$@"'; } \
		>$(COMPLETIONS)/_kvds
	@KVDS_COMPLETE=fish $< >$(COMPLETIONS)/kvds.fish
	@day=$${SOURCE_DATE_EPOCH:-$$(stat -c %Y include/kvds.h)} && \
		$< man-pages --date "$$(date -u -d "@$$day" +%F)" $(MAN1)

##@ Install

# Files are installed below PREFIX, or to these directories. DESTDIR is prepended, and installed
# files do not contain it.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
export DESTDIR PREFIX BINDIR LIBDIR INCLUDEDIR DATADIR TARGET_DIR

.PHONY: install
install: $(PACKAGED) ## Install to PREFIX=/usr/local; build first if needed
	@$(XTASK) install

.PHONY: uninstall
uninstall: $(XTASK) ## Remove the installed files from PREFIX=/usr/local
	@$(XTASK) uninstall

.PHONY: deb
deb: setup-deb $(PACKAGED) ## Build Debian packages in target/debian
	@rm -rf $(TARGET_DIR)/debian
	@mkdir -p $(TARGET_DIR)/debian
	@# Build dependencies are not checked: Debian's Rust may be too old, and rustup's is used.
	TARGET_DIR=$(abspath $(TARGET_DIR)) dpkg-buildpackage --build=binary --unsigned-changes \
		--unsigned-buildinfo --no-check-builddeps --post-clean \
		--buildinfo-option=-u$(TARGET_DIR)/debian --changes-option=-u$(TARGET_DIR)/debian \
		--buildinfo-file=$(TARGET_DIR)/debian/kvds.buildinfo \
		--changes-file=$(TARGET_DIR)/debian/kvds.changes

# `make install` often runs as root, which should not build. So `make build` also builds this file,
# the man pages and xtask.
$(PACKAGE)/libkvds.a: $(RELEASE)/libkvds.a abi/api.json xtask/src/static_library.rs
	@rustc --version >/dev/null || \
		{ echo "make: cannot run rustc, which has the notices of its standard library" >&2; exit 1; }
	@mkdir -p $(@D)
	$(CARGO) xtask static-library $< $@
	@cp "$$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" $(@D) 2>/dev/null || \
		echo "make: this Rust has no notices of its standard library" >&2

$(RELEASE)/libkvds.a $(RELEASE)/kvds:
	$(MAKE) build

$(XTASK):
	$(CARGO) build --package xtask

##@ Develop

.PHONY: test
test: setup-test ## Run all tests, with and without the disk engine
	$(RUN) test --package kvds --package kvds-rocksdb
	$(RUN) test --no-default-features
	$(RUN) build --release
	@$(CARGO) xtask uninstalled $(RELEASE)
	$(CARGO) test --package kvds-cli
	KVDS_LIBRARY=$(abspath $(RELEASE))/libkvds.so $(RUN) test --test exports --test c
	scripts/cluster run $(CARGO) xtask bindings test
	@echo
	@echo "make test: all tests passed, with and without the disk engine."

.PHONY: check
check: setup-check ## Check format, lints, words, generated files, the ABI and licenses
	$(RUN) fmt --all --check
	$(RUN) clippy --workspace --all-targets -- -D warnings
	$(RUN) clippy --all-targets --no-default-features -- -D warnings
	$(RUN) test --package xtask --features source
	$(RUN) test --test header --test layers --test third_party
	@$(CARGO) xtask declarations --check
	@CC="$(BUILD_CC)" $(CARGO) xtask abi
	@clang-format --dry-run -Werror $(FORMATTED) || { echo "make check: run make format" >&2; exit 1; }
	shellcheck $(SHELL_SCRIPTS)
	@$(CARGO) xtask words
	$(if $(call found,typos),typos,\
		@echo "make check: spelling is not checked: cargo install typos-cli")
	$(if $(call found,cargo-deny),$(CARGO) deny --workspace check licenses bans sources,\
		@echo "make check: licenses of crates are not checked: cargo install cargo-deny")
	@echo
	@echo "make check: passed."

.PHONY: format
format: setup-check ## Format Rust, C and C++
	$(CARGO) fmt --all
	clang-format -i $(FORMATTED)

.PHONY: ctest
ctest: setup-test ## Run the C tests alone
	$(RUN) test --test c

.PHONY: test-bindings
test-bindings: build ## Test all bindings, after installing missing languages
	$(CARGO) xtask bindings test --all

# These builds have their own target directories, as a cfg recompiles everything.
models_of = RUSTFLAGS="$(RUSTFLAGS) --cfg $(1)" $(RUN) test --profile model --no-default-features \
	--target-dir $(TARGET_DIR)/$(1) --test $(1)

.PHONY: models
models: setup-models ## Check the concurrency with loom and shuttle (KVDS_MODEL_RUNS=1000000)
	$(call models_of,loom)
	$(call models_of,shuttle)

.PHONY: memcheck
memcheck: setup-memcheck ## Run the C and C++ tests under valgrind
	KVDS_VALGRIND=1 $(RUN) test --test c --test cpp

.PHONY: race
race: setup-sanitize ## Run threaded tests under ThreadSanitizer (nightly Rust, memory engine)
	CC="$(BUILD_CC)" CXX="$(BUILD_CXX)" CARGO_TARGET_DIR=$(TARGET_DIR) scripts/sanitize thread

.PHONY: asan
asan: setup-sanitize ## Run tests under AddressSanitizer and LeakSanitizer (nightly Rust)
	CC="$(BUILD_CC)" CXX="$(BUILD_CXX)" CARGO_TARGET_DIR=$(TARGET_DIR) scripts/sanitize address

.PHONY: crash
crash: setup-test ## Test killed processes and power failures (CRASH_ROUNDS, POWERCUT_ROUNDS)
	KVDS_CRASH_ROUNDS=$(or $(CRASH_ROUNDS),200) $(RUN) test --test crash -- --nocapture
	KVDS_POWERCUT_ROUNDS=$(or $(POWERCUT_ROUNDS),100) $(RUN) test --test powercut -- --nocapture

.PHONY: cluster-faults
cluster-faults: setup-test ## Test a cluster whose servers fail, in FAULT_ROUNDS=100 rounds
	KVDS_FAULT_ROUNDS=$(or $(FAULT_ROUNDS),100) KVDS_ADDITIONS=1000 $(RUN) test --no-default-features \
		--features cluster --test linearizable --test cluster -- --nocapture cluster unique counter

.PHONY: damage
damage: setup-test ## Damage every byte of a small store (half an hour or more)
	KVDS_DAMAGE=all $(RUN) test --test damage -- --nocapture

.PHONY: field
field: setup-test ## Test faults that users of stores reported, at full size (some minutes)
	KVDS_FIELD=full $(RUN) test --release --test field -- --nocapture --test-threads=1
	KVDS_FIELD=full $(RUN) test --release --test c

.PHONY: soak
soak: setup-test ## Open and close stores for MINUTES=30, and check for leaks
	KVDS_SOAK_MINUTES=$(or $(MINUTES),30) $(RUN) test --release --test soak -- --nocapture \
		opening_and_closing_stores_leaks_nothing

# Each target starts from its seeds and from earlier inputs in fuzz/corpus. Failing inputs are in
# fuzz/artifacts. Disk stores are in /dev/shm if it exists, as RocksDB syncs often.
FUZZ = LSAN_OPTIONS=suppressions=$(CURDIR)/fuzz/leaks:print_suppressions=0 \
	TMPDIR=$(or $(wildcard /dev/shm),/tmp) KVDS_CC="$(BUILD_CC)" KVDS_CXX="$(BUILD_CXX)" \
	CC=$(CURDIR)/scripts/uninstrumented CXX=$(CURDIR)/scripts/uninstrumented++ $(CARGO) +nightly fuzz
FUZZ_TARGETS = operations boundary identifiers

.PHONY: fuzz
fuzz: setup-fuzz ## Fuzz for SECONDS=600 per target (ONLY=operations, boundary or identifiers)
	@mkdir -p $(FUZZ_TARGETS:%=fuzz/corpus/%)
	@set -e; for target in $(or $(ONLY),$(FUZZ_TARGETS)); do \
		$(FUZZ) run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(or $(SECONDS),600) -timeout=120 -print_final_stats=1; \
	done
	@echo "make fuzz: no failures."

.PHONY: fuzz-seeds
fuzz-seeds: setup-fuzz ## Replace fuzz/seeds by the smallest inputs that reach as much code
	@set -e; for target in $(or $(ONLY),$(FUZZ_TARGETS)); do fuzz/minimize $$target $(FUZZ); done

.PHONY: test-packages
test-packages: setup-packages build deb ## Test every way to install (root: with debootstrap)
	$(CARGO) xtask test-packages

# Only its own peer needs protoc.
PEER_OF_CLUSTER = $(if $(filter cluster,$(ONLY)),$(if $(call found,protoc),--features etcd-client))

# `target/release/kvds-bench --help` lists more options.
.PHONY: bench
bench: setup-bench build ## Measure kvds beside others (ONLY=memory, disk or cluster; FULL=1: hours)
	$(RUN) build --release --package kvds-bench $(PEER_OF_CLUSTER)
	$(RUN) build --release --package kvds-boundary
	$(RELEASE)/kvds-bench $(if $(FULL),--full) $(if $(ONLY),--only $(ONLY))

.PHONY: bench-counts
bench-counts: setup-bench build ## Count the instructions of a call with callgrind (ten minutes)
	$(RUN) build --release --package kvds-boundary
	$(RELEASE)/kvds-boundary $(RELEASE)/libkvds.so

.PHONY: bench-decisions
bench-decisions: setup-bench build ## Measure the figures of docs/decisions
	$(RUN) build --release --package kvds-bench
	$(RELEASE)/kvds-bench load
	$(RELEASE)/kvds-bench alternatives

.PHONY: header
header: ## Generate include/kvds.h, abi/api.json and the declarations of the bindings
	$(CARGO) run --quiet --package xtask --features source -- header

.PHONY: abi
abi: setup-check ## Check that compiled programs keep working: include/kvds.h and abi/kvds.abi
	@CC="$(BUILD_CC)" $(CARGO) xtask abi
	@echo "make abi: compatible."

.PHONY: abi-update
abi-update: setup-check ## Regenerate abi/kvds.abi after additions, or before a new SONAME
	@CC="$(BUILD_CC)" $(CARGO) xtask abi --update

.PHONY: third-party
third-party: setup-test ## Regenerate THIRD-PARTY from the sources of linked components
	KVDS_WRITE_THIRD_PARTY=1 $(RUN) test --test third_party

.PHONY: setup
setup: ## Check for the tools that a build needs, and install missing ones (apt-get)
	@scripts/setup build

SETUPS = $(addprefix setup-,test check models memcheck sanitize docs deb packages bench fuzz \
	cluster)
.PHONY: $(SETUPS)
$(SETUPS):
	@scripts/setup $(@:setup-%=%)

.PHONY: clean
clean: ## Remove everything that was built, also RocksDB (the next build takes minutes)
	$(CARGO) clean

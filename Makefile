# SPDX-License-Identifier: Apache-2.0
#
# libcnode. `make help` lists the targets.

BUILD     ?= build
PREFIX    ?= /usr/local
DESTDIR   ?=
OPT       ?= -O2 -g
WARN      ?= -Wall -Wextra -Wconversion -Wshadow -Werror
SAN       ?=
CNODE     ?= $(BUILD)/bin/cnode
SECONDS   ?= 60

MAKEFLAGS += --no-print-directory

VERSION   := $(shell sed -n 's/.*CN_VERSION "\(.*\)"/\1/p' base/base.h)
SOVERSION := 0
PKGS      := libuv openssl zlib
CLI_PKGS  := jansson
PKG_FLAGS := $(shell pkg-config --cflags $(PKGS) $(CLI_PKGS) 2>/dev/null)
TERM_FLAGS := $(shell pkg-config --cflags zlib 2>/dev/null)
LIBS      := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
TERM_LIBS := $(shell pkg-config --libs zlib 2>/dev/null) -lm
CLI_LIBS  := $(shell pkg-config --libs $(CLI_PKGS) 2>/dev/null)

# CPPFLAGS, CFLAGS and LDFLAGS are the user's and come last.
CC_FLAGS   = -std=c11 -D_GNU_SOURCE -I. $(PKG_FLAGS) $(WARN) $(OPT) $(SAN) \
             -fPIC -fvisibility=hidden -pthread $(CPPFLAGS) $(CFLAGS)
LD_FLAGS   = $(SAN) -pthread $(LDFLAGS)

object    = $(patsubst %.c,$(BUILD)/%.o,$(1))
TERM_OBJ  := $(call object,$(wildcard base/*.c ext_term/*.c))
LIB_OBJ   := $(TERM_OBJ) $(call object,$(wildcard epmd/*.c cnode/*.c))
CLI_SRC   := $(wildcard cli/*.c)
CLI_OBJ   := $(call object,$(filter-out cli/main.c,$(CLI_SRC)))
UNIT_SRC  := $(wildcard tests/unit/*_test.c)
UNIT_BIN  := $(UNIT_SRC:%.c=$(BUILD)/%)
UNIT_OBJ  := $(call object,$(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c)))
TARGET    := *
FUZZ_SRC  := $(wildcard tests/fuzz/$(TARGET)_fuzz.c)
FUZZ_BIN  := $(FUZZ_SRC:%.c=$(BUILD)/%)
REPLAY    := $(FUZZ_SRC:%_fuzz.c=$(BUILD)/%_replay)
TERM_PORT := $(BUILD)/tests/term_port
EI_PORT   := $(BUILD)/tests/ei_port
DRIVERS   := $(patsubst tests/erlang/%.c,$(BUILD)/tests/%,\
               $(wildcard tests/erlang/*_driver.c))
DOC_BIN   := $(shell sed -n 's|^/\* \([a-z_]*\)\.c: .*|$(BUILD)/doc/node/\1|p' \
               doc/node.md)
CT_BIN    := $(TERM_PORT) $(EI_PORT) $(DRIVERS) $(BUILD)/examples/poll \
             $(DOC_BIN)
EXAMPLES  := $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))
README    := $(wildcard README.md)
HEADERS   := base/base.h ext_term/ext_term.h epmd/epmd.h cnode/cnode.h \
             cnode/conn.h cnode/capture.h cnode/discover.h cnode/global.h \
             cnode/io.h cnode/pg.h
TERM_HEADERS := base/base.h ext_term/ext_term.h
LIBRARIES := libcnode libcnode-term
PROGRAM   := $(if $(wildcard cli/main.c),$(BUILD)/bin/cnode)

Q         := $(if $(V),,@)
say        = @echo "  $(1)  $(@:$(BUILD)/%=%)"; mkdir -p $(@D)

.SECONDARY:
.PHONY: all
all: $(LIBRARIES:%=$(BUILD)/%.a) $(LIBRARIES:%=$(BUILD)/%.so) $(PROGRAM) ## libraries and the cnode command

.PHONY: libcnode-term
libcnode-term: $(BUILD)/libcnode-term.a $(BUILD)/libcnode-term.so ## the term codec alone, which needs zlib

# --- building ----------------------------------------------------------------

$(BUILD)/.libraries:
	@pkg-config --exists --print-errors $(PKGS) $(CLI_PKGS) || \
	    { echo "something is missing; run: scripts/install-deps build"; exit 1; }
	@mkdir -p $(@D) && touch $@

# The codec asks for nothing that it does not need.
$(BUILD)/.term-libraries:
	@pkg-config --exists --print-errors zlib || \
	    { echo "zlib is missing; on Debian it is zlib1g-dev"; exit 1; }
	@mkdir -p $(@D) && touch $@

define compile
	$(call say,CC)
	$(Q)$(CC) $(CC_FLAGS) -MMD -MP -c $< -o $@
endef

$(TERM_OBJ): PKG_FLAGS := $(TERM_FLAGS)
$(TERM_OBJ): $(BUILD)/%.o: %.c | $(BUILD)/.term-libraries
	$(compile)

$(BUILD)/%.o: %.c | $(BUILD)/.libraries
	$(compile)

$(BUILD)/libcnode.a: $(LIB_OBJ)
$(BUILD)/libcnode-term.a: $(TERM_OBJ)
$(BUILD)/libcli.a: $(CLI_OBJ)
$(BUILD)/%.a:
	$(call say,AR)
	$(Q)rm -f $@ && ar rcs $@ $^

share = $(Q)$(CC) -shared -Wl,-soname,$(1).so.$(SOVERSION) \
        $(if $(SAN),,-Wl,-z,defs) $(LD_FLAGS) $^ $(2) -o $@

$(BUILD)/libcnode.so.$(VERSION): $(LIB_OBJ)
	$(call say,LD)
	$(call share,libcnode,$(LIBS))

$(BUILD)/libcnode-term.so.$(VERSION): $(TERM_OBJ)
	$(call say,LD)
	$(call share,libcnode-term,$(TERM_LIBS))

$(BUILD)/%.so: $(BUILD)/%.so.$(VERSION)
	@ln -sf $*.so.$(VERSION) $(BUILD)/$*.so.$(SOVERSION)
	@ln -sf $*.so.$(SOVERSION) $@

link = $(Q)$(CC) $(LD_FLAGS) $^ $(1) $(LIBS) -o $@

$(BUILD)/bin/cnode: $(BUILD)/cli/main.o $(BUILD)/libcli.a $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,$(CLI_LIBS))

$(BUILD)/tests/unit/%_test: $(BUILD)/tests/unit/%_test.o $(UNIT_OBJ) \
                            $(BUILD)/libcli.a $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,-lcmocka $(CLI_LIBS))

# The codec as a port of term_SUITE.
$(TERM_PORT): $(BUILD)/tests/erlang/term_port.o $(BUILD)/libcli.a \
              $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,$(CLI_LIBS))

# Programs of nodes that a suite commands.
$(BUILD)/tests/%_driver: $(BUILD)/tests/erlang/%_driver.o $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link)

# Erlang's own library in the same place, to compare with.
$(EI_PORT): tests/erlang/ei_port.c tests/erlang/port.h
	$(call say,CC)
	$(Q)ei=$$(erl -noshell -eval \
	    'io:put_chars(code:lib_dir(erl_interface)), halt().') && \
	    $(CC) $(CC_FLAGS) -isystem "$$ei/include" $< $(LD_FLAGS) \
	    -L"$$ei/lib" -lei -o $@

$(BUILD)/tests/fuzz/%_replay: $(BUILD)/tests/fuzz/%_fuzz.o \
                              $(BUILD)/tests/fuzz/replay.o \
                              $(BUILD)/libcli.a $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,$(CLI_LIBS))

$(BUILD)/tests/fuzz/%_fuzz: $(BUILD)/tests/fuzz/%_fuzz.o \
                            $(BUILD)/libcli.a $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,-fsanitize=fuzzer $(CLI_LIBS))

$(BUILD)/examples/%: $(BUILD)/examples/%.o $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link)

$(BUILD)/readme/first.c: README.md
	$(call say,GEN)
	$(Q)awk '/^```c$$/ { on = 1; next } /^```/ && on { exit } on' $< >$@
	$(Q)test -s $@ || { echo "README.md has no program in it"; exit 1; }

# As a reader would compile it.
$(BUILD)/readme/first: $(BUILD)/readme/first.c $(BUILD)/libcnode.a
	$(call say,CC)
	$(Q)$(CC) -Wall -Werror -I. $(PKG_FLAGS) $(LD_FLAGS) $^ $(LIBS) -o $@

# Each program in the guide compiles.
$(BUILD)/doc/%.c: doc/%.md scripts/doc-examples
	$(call say,GEN)
	$(Q)scripts/doc-examples $< >$@
$(BUILD)/doc/%.o: $(BUILD)/doc/%.c
	$(call say,CC)
	$(Q)$(CC) $(CC_FLAGS) -c $< -o $@

$(BUILD)/doc/node/.made: doc/node.md scripts/doc-programs
	$(call say,GEN)
	$(Q)rm -rf $(@D) && scripts/doc-programs $< $(@D) && touch $@
$(DOC_BIN:%=%.c): $(BUILD)/doc/node/.made ;
$(BUILD)/doc/node/%: $(BUILD)/doc/node/%.c $(BUILD)/libcnode.a
	$(call say,CC)
	$(Q)$(CC) -Wall -Wextra -Werror -I. $(PKG_FLAGS) -pthread $(LD_FLAGS) \
	    $^ $(LIBS) -o $@

ROOT = $(DESTDIR)$(PREFIX)

# Headers, libraries.
define install_files
	install -d $(ROOT)/lib/pkgconfig
	for h in $(1); do \
	    install -D -m 644 $$h $(ROOT)/include/libcnode/$$h || exit 1; done
	for l in $(2); do \
	    install -m 644 $(BUILD)/$$l.a $(ROOT)/lib && \
	    install -m 755 $(BUILD)/$$l.so.$(VERSION) $(ROOT)/lib && \
	    cp -P $(BUILD)/$$l.so $(BUILD)/$$l.so.$(SOVERSION) $(ROOT)/lib && \
	    sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	        $$l.pc.in >$(ROOT)/lib/pkgconfig/$$l.pc || exit 1; done
	install -D -m 644 doc/terms.md $(ROOT)/share/doc/libcnode/terms.md
endef

.PHONY: install install-term
install: all ## install below $(DESTDIR)$(PREFIX)
	$(call install_files,$(HEADERS),$(LIBRARIES))
	$(if $(PROGRAM),install -D -m 755 $(PROGRAM) $(ROOT)/bin/cnode)
	$(if $(wildcard man/cnode.1),install -D -m 644 man/cnode.1 \
	    $(ROOT)/share/man/man1/cnode.1)
	install -m 644 doc/node.md doc/epmd.md $(ROOT)/share/doc/libcnode

install-term: libcnode-term ## the same for the term codec alone
	$(call install_files,$(TERM_HEADERS),libcnode-term)

# --- checking ----------------------------------------------------------------

.PHONY: check unit replay examples readme doc layers
check: unit replay examples readme doc layers ## the quick checks

unit: $(UNIT_BIN) ## unit tests
	@scripts/run-units $^

.PHONY: sim
sim: $(BUILD)/tests/unit/sim_test ## the simulated cluster at length; SIM_SCHEDULES=100000 SIM_SEED=1
	@SIM_SCHEDULES=$${SIM_SCHEDULES:-100000} $<

$(BUILD)/tests/steps: $(BUILD)/tests/steps.o $(UNIT_OBJ) $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,-lcmocka)

.PHONY: steps
steps: $(BUILD)/tests/steps ## instructions that grow as what there is, not as its square; COUNT=1000
	@scripts/steps $<

replay: $(REPLAY) ## every fuzz target on its corpus
	@set -e; for r in $^; do name=$${r##*/}; \
	    $$r tests/data/fuzz/$${name%_replay}; done

examples: $(EXAMPLES) ## compile the examples

readme: $(README:README.md=$(BUILD)/readme/first) ## compile README's first program

doc: $(BUILD)/doc/terms.o $(DOC_BIN) ## compile the programs in doc/

layers: ## no folder includes upward
	@scripts/check-layers

.PHONY: check-install
check-install: ## install into a fresh folder and use it from there
	@BUILD=$(BUILD) scripts/check-install

.PHONY: amalgamation check-amalgamation
amalgamation: ## the term codec as two files, etf.h and etf.c
	@scripts/amalgamate $(BUILD)/amalgamation
	@echo "  GEN  $(BUILD)/amalgamation/etf.h $(BUILD)/amalgamation/etf.c"

check-amalgamation: amalgamation ## the two files on machines of all kinds
	@BUILD=$(BUILD) scripts/check-amalgamation

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all \
        -fno-omit-frame-pointer

.PHONY: asan tsan valgrind
asan: ## unit tests and replay under address, undefined and leak sanitizers
	@ASAN_OPTIONS=detect_leaks=1 $(MAKE) BUILD=$(BUILD)/asan \
	    SAN="$(ASAN)" unit replay

# Without address randomisation: gcc 12's runtime cannot map its shadow under
# the strong randomisation of newer kernels.
tsan: ## unit tests under the thread sanitizer
	@TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp setarch -R \
	    $(MAKE) BUILD=$(BUILD)/tsan SAN="-fsanitize=thread" unit

valgrind: $(UNIT_BIN) ## unit tests under valgrind
	@scripts/run-units --with "valgrind -q --error-exitcode=99 \
	    --leak-check=full --errors-for-leak-kinds=definite,possible" $^

.PHONY: coverage
coverage: ## how much of ext_term/ the unit tests and replay reach
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null; \
	    $(MAKE) CC=gcc BUILD=$(BUILD)/coverage OPT="-O0 -g" SAN=--coverage \
	    unit replay
	@scripts/coverage $(BUILD)/coverage 97 90

# For the scripts.
.PHONY: public-headers
public-headers:
	@echo $(HEADERS)

.PHONY: lint everything asan-everything
lint: ## formatting, clang-tidy, cppcheck, pedantic gcc and clang, shellcheck
	@BUILD=$(BUILD) scripts/lint

# All that is compiled, for lint and before tests that run side by side.
everything: all $(CT_BIN) $(UNIT_BIN) $(REPLAY) $(EXAMPLES) $(README:README.md=$(BUILD)/readme/first)

asan-everything:
	@$(MAKE) BUILD=$(BUILD)/asan SAN="$(ASAN)" everything

.PHONY: ct ct-asan test-otp test
ct: all $(CT_BIN) ## Common Test suites with the installed OTP; CNODE=program to test
	@scripts/run-ct $(CNODE) $(BUILD)/ct

ct-asan: ## the same with the programs under address sanitizer
	@NUMTESTS=$${NUMTESTS:-20000} $(MAKE) BUILD=$(BUILD)/asan \
	    SAN="$(ASAN)" ct

test-otp: all $(CT_BIN) ## the same with another release: OTP=27 or OTP=29
	@scripts/test-otp $(OTP) $(CNODE) $(BUILD)/ct-otp-$(OTP)

test: ## install what the tests need and run everything
	@scripts/install-deps test
	@BUILD=$(BUILD) scripts/run-tests

SOAK := CLUSTER_FIGURES=1 CLUSTER_NODES=$${CLUSTER_NODES:-20} \
        CLUSTER_ROUNDS=$${CLUSTER_ROUNDS:-10} \
        CLUSTER_MERGES=$${CLUSTER_MERGES:-8} \
        CLUSTER_STORM=$${CLUSTER_STORM:-300} \
        GLOBAL_RACES=$${GLOBAL_RACES:-1000} \
        GLOBAL_FIGHTS=$${GLOBAL_FIGHTS:-100} \
        GLOBAL_PARTS=$${GLOBAL_PARTS:-30}

.PHONY: cluster-soak
cluster-soak: ## clusters and races for names at length; OTP=29 for that release
	@$(SOAK) $(MAKE) SUITE=cluster_SUITE $(if $(OTP),test-otp,ct)
	@$(SOAK) $(MAKE) SUITE=global_SUITE GROUP=all \
	    CASES="race lock_is_fought_for c_nodes_part" \
	    $(if $(OTP),test-otp,ct)

# Inputs that reach new code gather in $(BUILD)/fuzz/corpus.
.PHONY: fuzz fuzz-bin
fuzz: ## each fuzz target, or TARGET=name, for SECONDS=60
	$(if $(FUZZ_SRC),,$(error no fuzz target `$(TARGET)`; there are: \
	    $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))))
	@$(MAKE) CC=clang BUILD=$(BUILD)/fuzz \
	    SAN="$(ASAN) -fsanitize=fuzzer-no-link" fuzz-bin
	@scripts/run-fuzz $(SECONDS) $(FUZZ_BIN:$(BUILD)/%=$(BUILD)/fuzz/%)

fuzz-bin: $(FUZZ_BIN)

# --- measuring ---------------------------------------------------------------

EI = $(shell erl -noshell -eval 'io:put_chars(code:lib_dir(erl_interface)), halt().')

$(BUILD)/bench/%.o: CPPFLAGS += -isystem $(EI)/include
$(BUILD)/bench/term_bench: $(BUILD)/bench/term_bench.o $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,$(EI)/lib/libei.a)

.PHONY: bench-term
bench-term: $(BUILD)/bench/term_bench ## the codec beside ei and the BEAM; ROUNDS=15
	@scripts/bench-term $< $(BUILD)/bench/corpus

DIST_BENCH := $(call object,$(wildcard bench/dist_*.c))
$(BUILD)/bench/dist_bench: $(DIST_BENCH) $(BUILD)/libcnode.a
	$(call say,LD)
	$(call link,$(EI)/lib/libei.a)

.PHONY: bench-dist
bench-dist: $(BUILD)/bench/dist_bench ## nodes beside ei, BEAM nodes and sockets; ROUNDS=9, JSON=file
	@scripts/bench-dist $(if $(JSON),--json $(JSON)) $< $(BUILD)/bench/dist

# --- and the rest ------------------------------------------------------------

.PHONY: demo clean help
demo: ## install what the demo needs, build, run it
	@scripts/install-deps demo
	@$(MAKE) all
	@scripts/demo $(CNODE)

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

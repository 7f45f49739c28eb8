# SPDX-License-Identifier: Apache-2.0
#
# libcnode. `make help` lists the targets.

CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
CSTD    := -std=c11 -D_GNU_SOURCE
WARN    := -Wall -Wextra -Wconversion -Wshadow -Werror
OPT     ?= -O2 -g
SAN     ?=
PKGS    := libuv openssl zlib
CPPFLAGS += -I.
CFLAGS  += $(CSTD) $(WARN) $(OPT) $(SAN) -fPIC -fvisibility=hidden -pthread
LDFLAGS += $(SAN) -pthread

pkg      = $(shell pkg-config $(1) $(2) 2>/dev/null)
PKG_CFLAGS = $(call pkg,--cflags,$(PKGS))
PKG_LIBS   = $(call pkg,--libs,$(PKGS))

LIB_SRC  := $(wildcard base/*.c ext_term/*.c epmd/*.c cnode/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
CLI_SRC  := $(wildcard cli/*.c)
CLI_OBJ  := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNIT_SRC := $(wildcard tests/unit/*_test.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
UNIT_LIB := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c)))

.PHONY: all
all: $(BUILD)/libcnode.a

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libcnode.a: $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/tests/unit/%_test: $(BUILD)/tests/unit/%_test.o $(UNIT_LIB) $(BUILD)/libcnode.a
	$(CC) $(LDFLAGS) $^ $(PKG_LIBS) -lcmocka -lm -o $@

.PHONY: unit
unit: $(UNIT_BIN)
	@set -e; for t in $(UNIT_BIN); do ./$$t; done

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# calloutd's build. `make help` lists what you can ask for.

PREFIX     ?= /usr/local
SBINDIR    ?= $(PREFIX)/sbin
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/calloutd
UNITDIR    ?= $(PREFIX)/lib/systemd/system
SYSUSERDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILEDIR ?= $(PREFIX)/lib/tmpfiles.d
COMPDIR    ?= $(PREFIX)/share/bash-completion/completions
SYSCONFDIR ?= /etc
BUILD      ?= build
CFLAGS     ?= -O2 -g
VERSION    := 0.1.0
PKGS       := libmicrohttpd libcjson libsystemd sqlite3 libcurl libconfuse libcrypto gnutls

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 \
	-Wundef -Wvla -Wimplicit-fallthrough
# Texts for people are cut on purpose where their buffer ends; only gcc asks.
ifeq ($(findstring clang,$(CC)),)
WARN += -Wno-format-truncation
endif

# What we need is kept apart from CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS: those
# belong to whoever builds and may be replaced on the command line.
OWN  = -std=gnu11 $(WARN) -MMD -MP -Iinclude -D_GNU_SOURCE -pthread \
	-fstack-protector-strong -fPIE -DCALLOUTD_VERSION='"$(VERSION)"' \
	-DCALLOUTD_SYSCONFDIR='"$(SYSCONFDIR)"' $(shell pkg-config --cflags $(PKGS))
LINK = -pthread -pie -Wl,-z,relro,-z,now
LIBS = $(shell pkg-config --libs $(PKGS))
# SAN=address,undefined or SAN=thread builds everything under that sanitizer.
ifneq ($(SAN),)
OWN  += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK += -fsanitize=$(SAN)
else
OWN  += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ifeq ($(WERROR),1)
OWN  += -Werror
endif

PROGRAMS := calloutd calloutd-runner calloutctl
ROOMS    := base callout store alert intake dispatch runner admin autotask
SOURCES  := $(foreach r,$(ROOMS),$(wildcard src/$(r)/*.c))
OBJECTS  := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
LIBRARY  := $(BUILD)/libcalloutd.a
UNITS    := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
TOOLS    := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(wildcard tests/tools/*.c))
BENCH    := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
SIM_OBJ  := $(patsubst tests/sim/%.c,$(BUILD)/obj/sim/%.o,$(wildcard tests/sim/*.c))
MANPAGES := $(wildcard docs/man/*.[1578])

all: $(PROGRAMS:%=$(BUILD)/%) ## build the three programs in build/ (the default)

.SECONDEXPANSION:
# Without a percent sign in the second expansion: a static pattern rule would put its stem there.
$(PROGRAMS:%=$(BUILD)/%): $(BUILD)/%: $$(subst src/,$(BUILD)/obj/,$$(addsuffix .o,$$(basename $$(wildcard src/$$*/*.c)))) $(LIBRARY)
	$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(LIBS) $(LDLIBS)

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/tests/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(OWN) $(shell pkg-config --cflags cmocka) $(CPPFLAGS) $(CFLAGS) $(LINK) $(LDFLAGS) \
		-o $@ $< $(LIBRARY) $(shell pkg-config --libs cmocka) $(LIBS) $(LDLIBS)

$(BUILD)/tools/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $< $(LIBS) $(LDLIBS)

$(BUILD)/bench/%: tests/bench/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(LINK) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LIBS) $(LDLIBS)

# A second opinion on the vendor: sees none of our headers and links none of our code.
$(BUILD)/obj/sim/%.o: tests/sim/%.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -Iinclude,$(OWN)) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/autotask-sim: $(SIM_OBJ)
	$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libmicrohttpd libcurl libcjson libcrypto) $(LDLIBS)

sim: $(BUILD)/autotask-sim ## build autotask-sim, a simulated Autotask (docs/simulator.md)

units: $(UNITS) sim ## build the unit tests
tools: $(TOOLS) sim ## build the helper programs of the tests

bench: ## install missing packages, build, measure against a peer and the limits (docs/benchmarks.md)
	tests/install-packages bench
	$(MAKE) all $(BENCH)
	BUILD=$(BUILD) tests/bench/run

check-unit: units ## build and run the unit tests only
	tests/run-unit $(UNITS)

check: ## install missing test packages, build, run every test
	tests/install-packages test
	$(MAKE) all units tools
	BUILD=$(BUILD) tests/run

demo: ## install missing build packages, build, show a callout's whole way and the loop with a simulated Autotask
	tests/install-packages build
	$(MAKE) all sim
	BUILD=$(BUILD) contrib/demo

install: all ## install programs, manuals, units and examples (PREFIX=, DESTDIR=)
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SBINDIR=$(SBINDIR) BINDIR=$(BINDIR) MANDIR=$(MANDIR) \
	DOCDIR=$(DOCDIR) UNITDIR=$(UNITDIR) SYSUSERDIR=$(SYSUSERDIR) TMPFILEDIR=$(TMPFILEDIR) \
	COMPDIR=$(COMPDIR) BUILD=$(BUILD) contrib/install install

uninstall: ## remove what install put there; configuration and state stay
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) SBINDIR=$(SBINDIR) BINDIR=$(BINDIR) MANDIR=$(MANDIR) \
	DOCDIR=$(DOCDIR) UNITDIR=$(UNITDIR) SYSUSERDIR=$(SYSUSERDIR) TMPFILEDIR=$(TMPFILEDIR) \
	COMPDIR=$(COMPDIR) BUILD=$(BUILD) contrib/install uninstall

deb: ## install missing build packages, build a Debian package in build/deb
	tests/install-packages package
	BUILD=$(BUILD) VERSION=$(VERSION) contrib/deb

lint: ## run clang-tidy, shellcheck and mandoc over the tree
	tests/lint

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@echo "make [TARGET] [BUILD=dir] [PREFIX=/usr/local] [DESTDIR=dir] [SAN=address,undefined|thread] [WERROR=1]"
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: all sim units tools bench check-unit check demo install uninstall deb lint clean help
.DELETE_ON_ERROR:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

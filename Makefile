# AI Runner. `make help` says what there is. Quiet by default, V=1 shows commands, SAN=1 builds with
# sanitizers beside the plain build (build-san/), BUILD=DIR builds elsewhere.

V ?= 0
SAN ?= 0
WERROR ?= 0
ifeq ($(SAN),1)
BUILD ?= build-san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -DAIRUNNER_FAULTS
else
BUILD ?= build
SANFLAGS := -O2 -D_FORTIFY_SOURCE=2
endif
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-8s %s\n' $(1) $(2))

VERSION := 0.1.0
PKGS := jansson libcurl libgit2 libcrypto libpcre2-8 libsystemd zlib libcmark-gfm
CC ?= gcc
CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE= -g $(SANFLAGS) -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wpointer-arith -Wno-missing-field-initializers \
	$(if $(filter 1,$(WERROR)),-Werror) -I. -I$(BUILD) -DAIRUNNER_VERSION='"$(VERSION)"' -fPIE \
	$(shell mariadb_config --include 2>/dev/null) $(shell pkg-config --cflags $(PKGS) 2>/dev/null) \
	$(CFLAGS)
LDFLAGS_ALL := -pie $(filter -fsanitize% -fno-sanitize%,$(SANFLAGS)) -Wl,-z,relro,-z,now $(LDFLAGS)
LIBS_COMMON := -ljansson -lmariadb -lcrypto
LIBS_CGI := -lfcgi
LIBS_WORKER := -lcurl -lgit2 -lpcre2-8 -lsystemd -lz -lcmark-gfm-extensions -lcmark-gfm -lm

# Each program is one main file; everything else of its folder is an archive that it links.
MAINS := cgi/webhook.c cgi/api.c cgi/dashboard.c worker/main.c worker/ctl.c
LIB_SRC := $(wildcard lib/*.c)
CGI_SRC := $(filter-out $(MAINS),$(wildcard cgi/*.c cgi/*/*.c))
WORKER_SRC := $(filter-out $(MAINS),$(wildcard worker/*.c worker/*/*.c))
STANDIN_SRC := $(wildcard tests/standin/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_HELP := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
PROGRAMS := $(addprefix $(BUILD)/,airunner-webhook airunner-api airunner-dashboard airunner-worker airunnerctl)
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(UNIT_SRC))
SHARE := $(BUILD)/share/airunner

.PHONY: all programs standin units galera share help
all: programs standin
programs: $(PROGRAMS) share
standin: $(BUILD)/standin $(BUILD)/fault-proxy $(BUILD)/claimer $(BUILD)/race $(BUILD)/fault-clock.so
units: $(UNITS)
galera: $(BUILD)/galera/client

# ---- generated ----
$(BUILD)/gen/queries.h: sql/queries.sql sql/queries.awk
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && awk -v mode=h -f sql/queries.awk sql/queries.sql >$@.tmp && mv $@.tmp $@
$(BUILD)/gen/queries.c: sql/queries.sql sql/queries.awk
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && awk -v mode=c -f sql/queries.awk sql/queries.sql >$@.tmp && mv $@.tmp $@

# ---- objects; a change of flags rebuilds all ----
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(BUILD) && echo '$(CC) $(subst ','\'',$(CFLAGS_ALL)) $(LDFLAGS_ALL)' | cmp -s - $@ || echo '$(CC) $(subst ','\'',$(CFLAGS_ALL)) $(LDFLAGS_ALL)' >$@
.PHONY: FORCE
FORCE:

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(BUILD)/gen/queries.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$(BUILD)/obj/gen/queries.o: $(BUILD)/gen/queries.c $(BUILD)/gen/queries.h $(BUILD)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) -c -o $@ $<

# An archive also depends on the list of its members, so that a removed file leaves it.
define archive
$(BUILD)/$(1).list: FORCE
	$$(Q)mkdir -p $(BUILD) && echo '$(2)' | cmp -s - $$@ || echo '$(2)' >$$@
$(BUILD)/$(1).a: $(2) $(BUILD)/$(1).list
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar qcs $$@ $(2)
endef
$(eval $(call archive,libcommon,$(call obj,$(LIB_SRC)) $(BUILD)/obj/gen/queries.o))
$(eval $(call archive,libcgi,$(call obj,$(CGI_SRC))))
$(eval $(call archive,libworker,$(call obj,$(WORKER_SRC))))
# Helpers of unit tests: an archive, so that a test gets only those it uses and may stub the rest.
$(eval $(call archive,libunit,$(call obj,$(UNIT_HELP))))

link = $(call say,LD,$@)
$(BUILD)/airunner-webhook: $(call obj,cgi/webhook.c) $(BUILD)/libcgi.a $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_CGI) $(LIBS_COMMON)
$(BUILD)/airunner-api: $(call obj,cgi/api.c) $(BUILD)/libcgi.a $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_CGI) $(LIBS_COMMON)
$(BUILD)/airunner-dashboard: $(call obj,cgi/dashboard.c) $(BUILD)/libcgi.a $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_CGI) $(LIBS_COMMON)
$(BUILD)/airunner-worker: $(call obj,worker/main.c) $(BUILD)/libworker.a $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_WORKER) $(LIBS_COMMON)
$(BUILD)/airunnerctl: $(call obj,worker/ctl.c) $(BUILD)/libworker.a $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_WORKER) $(LIBS_COMMON)
$(BUILD)/standin: $(call obj,$(STANDIN_SRC)) $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lmicrohttpd -lgit2 $(LIBS_COMMON)
# Preloaded into programs with and without sanitizers: it has none itself.
$(BUILD)/fault-clock.so: tests/fault/clock.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -std=gnu17 -O2 -Wall -Wextra -fPIC -shared -o $@ $<
$(BUILD)/claimer $(BUILD)/race: $(BUILD)/%: $(BUILD)/obj/tests/fault/%.o $(BUILD)/libworker.a $(BUILD)/libcommon.a
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_WORKER) $(LIBS_COMMON)
$(BUILD)/fault-proxy: $(call obj,tests/fault/proxy.c tests/fault/pair.c)
	$(link)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libunit.a $(BUILD)/libworker.a $(BUILD)/libcgi.a $(BUILD)/libcommon.a
	$(link)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS_CGI) $(LIBS_WORKER) $(LIBS_COMMON)
$(BUILD)/bench/loop: $(call obj,tests/bench/loop.c) $(BUILD)/libcommon.a
	$(link)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $^ -lcurl $(LIBS_COMMON)
$(BUILD)/galera/%: $(BUILD)/obj/tests/galera/%.o $(BUILD)/libworker.a $(BUILD)/libcgi.a $(BUILD)/libcommon.a
	$(link)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_CGI) $(LIBS_WORKER) $(LIBS_COMMON)
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/libworker.a $(BUILD)/libcgi.a $(BUILD)/libcommon.a
	$(link)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_CGI) $(LIBS_WORKER) $(LIBS_COMMON)
.PRECIOUS: $(BUILD)/obj/%.o

# ---- what the programs read at run time, laid out as installed ----
SHARE_SRC := $(shell find templates sql/migrate static -type f 2>/dev/null) $(wildcard etc/models.json)
share: $(SHARE)/.stamp
$(SHARE)/.stamp: $(SHARE_SRC)
	$(call say,SHARE,$(SHARE))
	$(Q)rm -rf $(SHARE) && mkdir -p $(SHARE) && cp -r templates static $(SHARE)/ && mkdir -p $(SHARE)/sql && cp -r sql/migrate $(SHARE)/sql/ \
		&& if [ -f etc/models.json ]; then cp etc/models.json $(SHARE)/; fi && touch $@

clean:
	rm -rf build build-san
.PHONY: clean

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# ---- what a person types; packages come from etc/packages.txt, everything else runs as an ordinary user ----
PACKAGE_GROUPS := build run test bench fresh lint
.PHONY: $(addprefix packages-,$(PACKAGE_GROUPS)) packages run test soak bench fresh lint
packages: packages-run
$(addprefix packages-,$(PACKAGE_GROUPS)): packages-%:
	@tests/run/packages.sh $*

run: packages-run
	@exec tests/run/as-user.sh node tests/run/run.mjs

# T='unit/test_db e2e/10' chooses suites by part of their names.
test: packages-test
	@exec tests/run/as-user.sh node tests/runner.mjs $(T)

# The long harnesses in full: kill points, faults of network, database, processes, disk and clocks, of
# the models' services; streams cut at every byte; six events in every order.
soak: packages-test
	@SOAK=1 exec tests/run/as-user.sh node tests/runner.mjs $(or $(T),e2e/9 e2e/41 e2e/42 e2e/52 e2e/55 unit/test_cut)

# BENCH=queue, agent or cache measures that alone.
bench: packages-bench
	$(Q)$(MAKE) -s programs standin $(BUILD)/bench/queue $(BUILD)/bench/loop
	@AIRUNNER_BUILD=$(BUILD) exec tests/run/as-user.sh node tests/bench/bench.mjs $(BENCH)

fresh: packages-fresh
	@exec tests/run/fresh.sh

lint: packages-lint
	@exec tests/run/as-user.sh tests/lint/lint.sh

help:
	@echo 'make             build the programs into build/ (SAN=1: with sanitizers into build-san/; V=1 shows commands)'
	@echo 'make run         everything on loopback, with stand-ins for services without keys; Ctrl-C stops it'
	@echo 'make test        every test; T="unit/test_db e2e/10" chooses'
	@echo 'make soak        the long harnesses in full (kill points, faults of network, database, disk, clocks, bursts, a million claims)'
	@echo 'make bench       figures of queue and agent beside BullMQ and a bare loop; BENCH=queue, agent or cache chooses'
	@echo 'make lint        format, rules of the house, length report, shellcheck'
	@echo 'make fresh       both commands on a pristine Debian 12 root (needs root); transcript in build/fresh/'
	@echo 'make packages    install the Debian packages (etc/packages.txt); also packages-{build,run,test,bench,fresh,lint}'
	@echo 'make clean       remove what was built'

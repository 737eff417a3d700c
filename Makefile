# domsnap: every way to build, test and run it. "make help" lists the targets.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PREFIX  ?= /usr/local
HOOKS   ?= /etc/libvirt/hooks
UNITS   ?= $(PREFIX)/lib/systemd/system
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
APPARMOR ?= /etc/apparmor.d
CACHE   ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/domsnap-tools

GO      ?= go
TAGS    := rbd,pacific
LDFLAGS := -s -w -X main.version=$(VERSION)
LINT_VERSION := v2.15.0
LINT    := $(CACHE)/golangci-lint-$(LINT_VERSION)
LAB     := integration/lab/lab
# What runs in the lab: the program, and the test programs of every package that has lab tests.
LABDIR  := build/lab
LABENV  := --env DOMSNAP=$(CURDIR)/build/bin/domsnap
# The program as tests of crashes want it: it ends, or waits, at any act that they name.
FAILING := build/failpoints
# What became of the checks that every method has to pass.
SUITEDIR := $(CURDIR)/build/suite

# The day that the manual pages say.
MANDATE ?= $(shell git log -1 --format=%cs 2>/dev/null)
MAN     := domsnap.1 domsnap-nightly.8 domsnap-nightly.conf.5
NIGHTLY := integration/nightly
RECIPES := integration/recipes

BUILD_PACKAGES := gcc libc6-dev pkg-config git libvirt-dev librbd-dev librados-dev libxml2-utils qemu-utils shellcheck jq \
	man-db bash-completion zsh fish
PACKAGING_PACKAGES := debhelper fakeroot rpm lintian mandoc

# The tests that are run with those of crashes, since they take long or go round more often there.
LONG := TestSevenNights|TestOneInstant|TestConfinedGuest|TestShieldMeetsOthers|TestHookBesideOthers

# Each is measured in a lab of its own: what a figure has written stays in the lab's memory.
FIGURES := held held-busy shield-disks shield-slow rbd rollback records replicate-rbd replicate-btrfs replicate-kinds \
	$(addprefix revert-,qcow2 internal thick thin btrfs xfs rbd)

# Those that hang on what a process or a system call costs are also measured on the machine's own kernel.
FIGURES_HERE := shield-disks replicate-rbd replicate-btrfs

.DEFAULT_GOAL := help
.PHONY: help deps deps-packaging build build-trixie man notice deb rpm packages-test lab lint unit race fuzz fuzz-short lab-tests torture suite-table method-test test demo demo-svg bench fmt install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install what building, testing and the lab need (Debian 12 and 13, as root)
	@integration/deps $(BUILD_PACKAGES)

deps-packaging: ## install what building and testing packages needs (Debian 12 and 13, as root)
	@integration/deps $(BUILD_PACKAGES) $(PACKAGING_PACKAGES)

build: ## build the program into build/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o build/bin/domsnap ./cmd/domsnap
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -tags $(TAGS) -o build/libexec/domsnap/domsnap ./cmd/domsnap

$(FAILING): FORCE
	$(GO) build -trimpath -tags failpoints -o $(FAILING)/bin/domsnap ./cmd/domsnap
	$(GO) build -trimpath -tags failpoints,$(TAGS) -o $(FAILING)/libexec/domsnap/domsnap ./cmd/domsnap

build-trixie: lab ## build with Debian 13's libvirt and librbd, in the lab's root
	@mkdir -p $(CACHE)/trixie
	$(LAB) chroot --share $(CACHE)/trixie --share $(shell $(GO) env GOROOT):ro --share $(shell $(GO) env GOMODCACHE):ro \
		--env GOMODCACHE=$(shell $(GO) env GOMODCACHE) --env GOFLAGS=-buildvcs=false --env GOCACHE=$(CACHE)/trixie \
		-- $(shell $(GO) env GOROOT)/bin/go build -tags $(TAGS) -o build/trixie/domsnap ./cmd/domsnap

man: build ## make the manual pages, in build/man
	@mkdir -p build/man
	build/bin/domsnap man >build/man/domsnap.1
	cp $(NIGHTLY)/*.8 $(NIGHTLY)/*.5 build/man
	sed -i '1s/""/"$(MANDATE)"/' $(MAN:%=build/man/%)

notice: ## write the licences of what is linked in to build/NOTICE
	integration/packaging/notice $(GO) $(TAGS) >build/NOTICE

deb: deps-packaging ## build Debian packages, in build/deb
	GO=$(GO) integration/packaging/package deb

rpm: deps-packaging ## build RPM packages, in build/rpm
	GO=$(GO) integration/packaging/package rpm

packages-test: deb rpm ## look at all that is in the packages, install and use them in clean Debians 12 and 13
	integration/packaging/try-packages

lab: deps ## build the lab: a hypervisor with all four storages, in user space
	$(LAB) build

$(LINT):
	GOBIN=$(CACHE)/bin-$(LINT_VERSION) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	ln -sf $(CACHE)/bin-$(LINT_VERSION)/golangci-lint $@

lint: $(LINT) ## check the code, and that no layer points back
	$(LINT) run --build-tags lab,torture,$(TAGS)
	shellcheck -x integration/deps integration/fuzz integration/lab-tests integration/torture-report integration/hooks/qemu $(LAB) integration/lab/lib/*.sh integration/lab/inside/init integration/lab/inside/here integration/lab/inside/bin/*
	shellcheck -x -P SCRIPTDIR $(NIGHTLY)/domsnap-nightly $(RECIPES)/*-backup
	shellcheck -x -P SCRIPTDIR integration/completions/domsnap.bash integration/packaging/package integration/packaging/notice \
		integration/packaging/try-packages integration/packaging/in-root integration/packaging/inside/* integration/packaging/debian/*.p*

# These start so many programs that the race detector's memory is most of the time.
STARTERS := /integration/|/methods/(qemu|copy)$$

unit: ## test without root, libvirt daemon or lab
	$(GO) test -race -p 4 $$($(GO) list ./... | grep -vE '$(STARTERS)')
	$(GO) test -p 4 $$($(GO) list ./... | grep -E '$(STARTERS)')

race: ## test all of that with the race detector
	$(GO) test -race -p 4 ./...

fuzz: ## give every fuzzer INPUTS inputs (a million), a line for each
	integration/fuzz $(or $(INPUTS),1000000)

fuzz-short: ## give every fuzzer a few thousand inputs, two minutes at most
	integration/fuzz 3000

$(LABDIR): build FORCE
	@rm -rf $(LABDIR) $(SUITEDIR) && mkdir -p $(LABDIR) $(SUITEDIR)
	$(GO) test -c -tags lab,$(TAGS) -o $(LABDIR)/ $$(grep -rl --include='*_test.go' 'go:build.*lab' . | xargs -n1 dirname | sort -u)

lab-tests: lab $(LABDIR) $(FAILING) ## test on the real thing, in labs (KERNEL=own: each with LVM, more slowly)
	integration/lab-tests $(LABDIR)

torture: lab build $(FAILING) ## kill every verb at every point it has, on every method, and recover; what else takes long (an hour and a half)
	@rm -rf build/torture && mkdir -p build/torture
	$(GO) test -c -tags lab,torture,$(TAGS) -o build/torture/ ./integration/e2e
	LABS=4 TIMEOUT=90m integration/lab-tests build/torture 'TestTorture|$(LONG)' || true
	integration/torture-report build/torture/logs

suite-table: ## print which method passes which check, by the last lab-tests
	@mkdir -p $(SUITEDIR)
	DOMSNAP_SUITE_DIR=$(SUITEDIR) $(GO) test -count=1 -run 'TestSuite|TestEngine' ./methods/memory ./integration/suite
	@$(GO) run ./integration/suite/table $(SUITEDIR)

method-test: ## check an engine: ENGINE=program [SPEC=file with <diskSnapshot>] [DISK=program that makes disks]
	DOMSNAP_TEST_ENGINE=$(abspath $(ENGINE)) DOMSNAP_TEST_SPEC=$(abspath $(SPEC)) DOMSNAP_TEST_DISK=$(abspath $(DISK)) \
		$(GO) test -count=1 -v -run TestEngine ./integration/suite

test: deps lint unit fuzz-short build-trixie lab-tests suite-table ## test everything

demo: lab build ## the main job on a running guest, with commentary
	$(GO) build -o build/lab/demo ./integration/demo
	$(LAB) run $(LABENV) -- build/lab/demo

demo-svg: lab build ## draw what the demo prints, for the README
	$(GO) build -o build/lab/demo ./integration/demo
	$(LAB) run $(LABENV) -- build/lab/demo >build/demo.txt
	$(GO) run ./integration/demo/svg <build/demo.txt >integration/demo/demo.svg

bench: lab build ## print the figures: guest held, revert, start-up
	$(GO) build -o build/lab/bench ./integration/bench
	for figure in $(FIGURES); do DOMSNAP_LAB_MEMORY=14336 $(LAB) run $(LABENV) -- build/lab/bench $$figure || exit; done
	for figure in $(FIGURES_HERE); do $(LAB) here $(LABENV) -- build/lab/bench $$figure || exit; done

fmt: $(LINT) ## format the code
	$(LINT) fmt

install: build man ## install into PREFIX (/usr/local), the hook into libvirt's, the rule into AppArmor's
	install -D build/bin/domsnap $(DESTDIR)$(PREFIX)/bin/domsnap
	install -D build/libexec/domsnap/domsnap $(DESTDIR)$(PREFIX)/libexec/domsnap/domsnap
	install -D integration/hooks/qemu $(DESTDIR)$(HOOKS)/qemu.d/domsnap
	install -D $(NIGHTLY)/domsnap-nightly $(DESTDIR)$(PREFIX)/sbin/domsnap-nightly
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/domsnap/nightly $(NIGHTLY)/lib/*
	install -D -t $(DESTDIR)$(PREFIX)/share/domsnap/recipes $(RECIPES)/*-backup
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/domsnap/recipes $(RECIPES)/*.sh
	test -e $(DESTDIR)/etc/domsnap/nightly.conf || install -D -m 644 -t $(DESTDIR)/etc/domsnap $(NIGHTLY)/nightly.conf
	install -D -m 644 -t $(DESTDIR)$(UNITS) $(NIGHTLY)/*.service $(NIGHTLY)/*.timer integration/packaging/*.service
	sed -i 's#/usr/local/\(share\|s\?bin/domsnap\|bin$$\)#$(PREFIX)/\1#' $(DESTDIR)$(HOOKS)/qemu.d/domsnap $(DESTDIR)$(PREFIX)/sbin/domsnap-nightly \
		$(DESTDIR)$(UNITS)/domsnap-*.service
	install -D -m 644 integration/completions/domsnap.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/domsnap
	install -D -m 644 -t $(DESTDIR)$(ZSHDIR) integration/completions/_domsnap
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d integration/completions/domsnap.fish
	for page in $(MAN); do install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$${page##*.} build/man/$$page || exit; done
	install -D -m 0644 integration/apparmor/domsnap $(DESTDIR)$(APPARMOR)/abstractions/libvirt-qemu.d/domsnap

clean: ## remove what was built here
	rm -rf build

FORCE:

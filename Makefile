# Everything that one does with a clone. Each target is one line; what needs more stands in scripts/.
SHELL      := /bin/bash
VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GOFLAGS    := -trimpath
export VERSION

.PHONY: help demo build generate dist test race lint fuzz e2e bench benchaware benchcluster scale benchsmb benchdns soak deps clean
.DEFAULT_GOAL := help

help:  ## show these targets
	@grep -E '^[a-z0-9]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

demo: build ## three gateways as one file server, clients that work, and the death of one
	go run ./e2e/demo bin/causeway

build: ## bin/causeway, one static binary
	CGO_ENABLED=0 go build $(GOFLAGS) -ldflags '-s -w -X main.version=$(VERSION)' -o bin/causeway ./cmd/causeway

generate: ## the Go code of *.proto; needs protoc
	scripts/generate

dist: ## dist/*.tar.gz for amd64 and arm64, with the systemd units
	scripts/dist

test: ## install what is missing (as root), check, and run every test for some minutes
	scripts/test

race: ## all tests of the rooms with the race detector
	go test -race $$(go list ./... | grep -v /e2e)

lint: ## formatting, vet, staticcheck, the arrows between rooms
	scripts/lint && go test .

fuzz: ## every fuzz target for 30 s; FUZZTIME=10m for longer
	FUZZTIME=$${FUZZTIME:-30s} scripts/fuzz

e2e: build ## end-to-end tests with real clients; needs root
	CAUSEWAY_E2E=required go test -count=1 -timeout 60m ./e2e/...

bench: ## NFS beside nfs-ganesha and go-nfs, some minutes; needs root
	go run ./e2e/bench

benchaware: ## programs with the client library over gateways with limited links; needs root
	go run ./e2e/bench aware

benchcluster: ## gateways of a cluster beside each other; needs root
	go run ./e2e/bench cluster

scale: ## 10,000 connections, a million files and directory entries: time and memory; needs root
	go run ./e2e/bench scale

benchsmb: ## SMB beside smbd; needs root
	go run ./e2e/bench smb

benchdns: ## 10,000 questions a second by DNS to a server with one processor: rate, losses, p50, p99, processor time
	go test ./discovery -run '^$$' -bench Server -benchtime 50000x

soak: ## the long versions of the end-to-end tests, hours; needs root
	BLOCKS_SEEDS=2000 go test -count=1 -timeout 1h -parallel 24 -run TestBlocksSimulation ./gateway/gatewaytest
	CAUSEWAY_E2E=long go test -count=1 -timeout 12h ./e2e/...

deps: ## install the Debian packages that the end-to-end tests need, start none of their services
	scripts/deps

clean: ## remove what was built
	rm -rf bin dist

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help install demo format lint types test test-slow test-cuda clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed ## installs the package, its extras and the tools into .venv

# Made anew when the requirements change.
.venv/installed: requirement.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

demo: install ## trains and scores on built-in phantoms: half a minute, offline
	$(BIN)/python train.py demo.json --replace
	$(BIN)/python predict.py demo.json

format: install ## formats the code and repairs what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lint: install ## checks style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install ## checks the types
	$(BIN)/mypy

test: install lint types ## style, types and all tests but the slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal

# 30 kills, all fuzzing, trainings of minutes.
test-slow: install ## the long tests: about half an hour
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow
	LMTTM_FUZZ=full $(BIN)/python -m pytest tests/reliability/test_hostile.py

test-cuda: install ## the tests that need an NVIDIA GPU
	$(BIN)/python -m pytest -m cuda

clean: ## removes what tools leave behind, not .venv and not runs/
	rm -rf *.egg-info build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path "./.venv/*" -prune -exec rm -rf {} +

distclean: clean ## removes .venv as well
	rm -rf .venv

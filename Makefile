PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test test-slow lint types clean

install: .venv/installed

# Made anew when the requirements change.
.venv/installed: requirement.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@

demo: install
	$(BIN)/python train.py demo.json --replace
	$(BIN)/python predict.py demo.json

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install
	$(BIN)/mypy

test: install lint types
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The long form: 30 kills, all fuzzing, trainings of minutes. About half an hour.
test-slow: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow
	LMTTM_FUZZ=full $(BIN)/python -m pytest tests/reliability/test_hostile.py

clean:
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache .mypy_cache

"""Tests by what they hold: unit (pure parts), contracts (a protocol's promises), scenarios (parts together), e2e."""

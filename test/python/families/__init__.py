"""What tests of model families share: small random checkpoints, and a plain transformer in numpy."""

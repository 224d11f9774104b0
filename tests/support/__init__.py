"""What the tests of several rooms share: the real command, real repositories, real requests."""

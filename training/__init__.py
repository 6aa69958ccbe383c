"""Scripts that train the models; nothing imports them except their tests."""

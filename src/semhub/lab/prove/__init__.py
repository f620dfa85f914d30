"""`semhub lab prove`: how often each verdict is wrong, over many independently trained organisms."""

package wrenndev

"""What a training takes and what its reports can show, before it is paid for."""

"""What a flow would take, told before it is paid for."""

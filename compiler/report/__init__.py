"""What a compilation decided and found, as plain data and as one page of HTML."""

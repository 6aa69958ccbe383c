"""Check what strangers may have written before any library reads it, and replace folders as a whole."""

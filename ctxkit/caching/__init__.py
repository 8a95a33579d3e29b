"""The provider's cache: identifying prefixes and the threads they belong to."""

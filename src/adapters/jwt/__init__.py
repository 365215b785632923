"""JSON Web Tokens (RFC 7519): who a page is."""

"""Parts of tokens that are signed all right, and that no verifier may read as a header or as claims."""

PAYLOADS = (
    b'{"id":7,"id":8,"user_type":"admin","exp":1900000000}',
    b'{"id":7,"user_type":"user","exp":1900000000,"user_type":"admin"}',
    b'{"id":7,"user_type":"admin","exp":1900000000,"x":{"a":1,"a":2}}',
    b"[]",
    b'"text"',
    b"7",
    b"null",
    b"",
    b"{",
    b"\xff",
    b"[" * 5000,
    b'{"exp":' + b"9" * 5000 + b"}",
)
HEADERS = (b"[]", b"7", b'"HS256"', b"null", b"", b"{", b"\xff", b"[" * 3000, b'{"alg":"HS256","alg":"none"}')

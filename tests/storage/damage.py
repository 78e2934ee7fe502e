"""What may happen to a file, for the tests of what is read again."""

import io
import zipfile


def one_bit_other(content: bytes) -> bytes:
    """Turn a bit in the middle of the largest member of a zip."""
    largest = max(zipfile.ZipFile(io.BytesIO(content)).infolist(), key=lambda member: member.file_size)
    place = largest.header_offset + largest.file_size
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

"""The files in an uncompressed tar, found by reading its headers alone; nothing is unpacked. A tar that was damaged, or made to harm, costs
no more than its headers: sizes below zero or beyond its end, and headers of gigabytes, are refused."""

import os
import tarfile

from minigrad.data.checks import DataError, open_file

HEADER = 1 << 20  # bytes that one read may ask for


class Window:
    """The bytes from `start` to `end` of a file as a file of its own, of which no more than HEADER are read at once."""

    def __init__(self, file, start, end):
        self.file, self.start, self.end, self.at = file, start, end, 0

    def seek(self, at, whence=os.SEEK_SET):
        if whence != os.SEEK_SET or at < 0:
            raise tarfile.ReadError(f"a header points to byte {at:,}")
        self.at = at

    def tell(self):
        return self.at

    def read(self, size=-1):
        if not 0 <= size <= HEADER:
            raise tarfile.ReadError(f"a header takes {size:,} bytes")
        self.file.seek(self.start + self.at)
        content = self.file.read(max(0, min(size, self.end - self.start - self.at)))
        self.at += len(content)
        return content


def members(path, offset=0, size=None):
    """The files in a tar of `size` bytes (None: up to the end) that begins at byte `offset` of the file `path`: a list of (name, first byte
    in `path`, bytes), hard links with the place of what they are linked to; and the names of what is no file, but for folders.

    Raises DataError."""
    try:
        with open_file(path) as file:
            end = os.fstat(file.fileno()).st_size if size is None else offset + size
            found, others = {}, []
            window = Window(file, offset, end)
            with tarfile.open(fileobj=window, mode="r:") as tar:
                last = -1
                while (member := tar.next()) is not None:
                    if member.size < 0 or member.offset <= last:
                        raise tarfile.ReadError(f"the size of {member.name} is {member.size:,}")
                    last = member.offset
                    if member.name in found:
                        others.append(f"an earlier {member.name}")
                    if member.isfile() and not member.issparse():
                        found[member.name] = member.name, offset + member.offset_data, member.size
                    elif member.islnk() and member.linkname in found:
                        found[member.name] = member.name, *found[member.linkname][1:]
                    elif not member.isdir():
                        others.append(member.name)
                    tar.members.clear()  # of a million files they would take a gigabyte
                window.seek(tar.offset)
                mark = window.read(512)
                if mark.strip(b"\0"):  # tarfile takes a damaged header for the end
                    raise tarfile.ReadError(f"at byte {tar.offset:,} there is no header of a file")
                if not mark and size is None:
                    raise tarfile.ReadError("it ends without the mark of its end, so it was cut off between two files")
    except (OSError, tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as an uncompressed tar file: {str(error).rstrip('.')}.") from None
    for name, at, length in found.values():
        if at + length > end:
            raise DataError(f"{path} is cut off: {name} should end at byte {at + length:,} of {end:,}.")
    return list(found.values()), others

"""Uploads go to a file beside the data as they arrive; a full disk or an over-long file is answered in
words instead of an error page."""

import hashlib
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler
from django.http import HttpRequest


class DiskUploadHandler(TemporaryFileUploadHandler):
    """Writes to UPLOAD_DIR. On a fault the rest of the file is passed over, what there is of it is
    removed, and `upload_fault` finds the words; the rest of the form is there to be shown again."""

    _arriving = False  # a file whose end has not been seen

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().new_file(*args, **kwargs)
        except OSError as error:
            self._skip(
                f"The file cannot be stored: {error.strerror}. Make room and upload it again"
            )
        self._received = 0
        self._arriving = True
        self._digest = hashlib.sha256()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._received += len(raw_data)
        self._digest.update(raw_data)
        if self._received > settings.MAX_UPLOAD_BYTES:
            self._skip(
                f"The file is larger than {settings.MAX_UPLOAD_BYTES:,} bytes, the most this "
                "installation takes (MAX_UPLOAD_BYTES). Split it, or upload it as Parquet"
            )
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError as error:
            self._skip(
                f"The file cannot be stored: {error.strerror}. Make room and upload it again"
            )

    def file_complete(self, file_size: int) -> Any:
        """The stored file. It carries the hash of its bytes: reading them again takes seconds a GB."""
        self._arriving = False
        file = super().file_complete(file_size)
        if file is not None:
            file.sha256 = self._digest.hexdigest()  # type: ignore[attr-defined]
        return file

    def upload_complete(self) -> None:
        """The body has ended: in the middle of a file, if that was not completed."""
        if self._arriving:
            self._fault(
                f"The upload was cut off after {self._received:,} bytes of the file. Upload it again"
            )

    def _skip(self, words: str) -> None:
        self._fault(words)
        raise SkipFile

    def _fault(self, words: str) -> None:
        if self.request is not None:
            self.request.META["batchllm.upload_fault"] = words
        self._arriving = False
        self.upload_interrupted()


def upload_fault(request: HttpRequest) -> str | None:
    """Why an upload of this request was not stored, in words; None if nothing went wrong."""
    _ = request.POST  # the body is received when somebody looks at it first
    return request.META.get("batchllm.upload_fault")

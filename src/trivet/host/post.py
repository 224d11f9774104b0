"""One HTTP request: a body that is sent to a URL. Nothing that is answered is used but the status."""

from collections.abc import Mapping
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> str:
    """What went wrong, in a few words; "" if the other side has taken it (2xx). No redirect is followed.

    `timeout_s` bounds each wait for the other side, not all of them. Proxies are those of our environment.
    """
    import http.client  # 60 ms that only a notification needs
    import urllib.error
    import urllib.request

    class Unredirected(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    proxies: dict[str, str] | None = {} if urlsplit(url).hostname in _LOOPBACK else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), Unredirected)
    request = urllib.request.Request(url, body, dict(headers), method="POST")
    try:
        with opener.open(request, timeout=timeout_s):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"it answered {error.code}"
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except urllib.error.URLError as error:
        return _reason(error.reason, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        return _reason(error, timeout_s)


def _reason(reason: object, timeout_s: float) -> str:
    if isinstance(reason, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return str(reason) or type(reason).__name__

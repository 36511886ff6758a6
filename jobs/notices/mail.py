"""One mail: text, and the same in simple HTML. Sent by a worker, never within a request or the engine.

A mail has a `Message-ID` of its own that stays the same when it is sent again, so that mail programs
show one that left twice (a worker died between sending and noting it) as one.
"""

import smtplib
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from jobs.models import Delivery
from jobs.notices.failing import Failed, Failing


def send_notice(delivery: Delivery) -> Failed | None:
    """None when the mail server took it."""
    notice = delivery.notice
    context = {
        "notice": notice,
        "link": settings.PUBLIC_URL + notice.link,
        "preferences": f"{settings.PUBLIC_URL}/accounts/notices/",
    }
    return mail_send(
        to=[delivery.target],
        subject=f"{notice.title} · {notice.team.name}",
        text=render_to_string("notices/mail.txt", context),
        html=render_to_string("notices/mail.html", context),
        message_id=f"{notice.public_id}.{delivery.pk}",
    )


def mail_send(
    *, to: Sequence[str], subject: str, text: str, html: str, message_id: str
) -> Failed | None:
    """Hand one mail to the mail server (`EMAIL_URL`). None when it took it."""
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),  # a line break would begin another header
        body=text,
        from_email=settings.EMAIL_FROM,
        to=list(to),
        headers={
            "Message-ID": f"<{message_id}@{urlsplit(settings.PUBLIC_URL).hostname}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(html, "text/html")
    try:
        message.send()
    except smtplib.SMTPAuthenticationError:
        return Failed(Failing.LOGIN, "The mail server refused the log-in of EMAIL_URL.")
    except smtplib.SMTPRecipientsRefused as error:
        code = max((code for code, _ in error.recipients.values()), default=0)
        words = f"The mail server takes no mail for this address ({code})."
        return Failed(Failing.REFUSED, words, for_good=code >= 500, of_target=False)
    except smtplib.SMTPResponseException as error:
        words = f"The mail server answered {error.smtp_code}."
        return Failed(Failing.SERVER_ERROR, words, of_target=error.smtp_code < 500)
    except TimeoutError:
        return Failed(Failing.TIMEOUT, "The mail server did not answer in time.")
    except (OSError, smtplib.SMTPException):
        return Failed(Failing.CONNECTION, "The mail server cannot be reached, or broke off.")
    except ValueError:
        words = "This is no address that mail can be sent to."
        return Failed(Failing.ADDRESS, words, for_good=True, of_target=False)
    return None

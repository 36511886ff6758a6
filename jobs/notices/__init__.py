"""Who is told what: written once where it happens, then shown, mailed, and posted to webhooks."""

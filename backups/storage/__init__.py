"""Where artefacts are kept: one interface, on local disk and on S3, both built on django-storages.

Only `s3` imports boto3 (350 ms), so import it where an S3 Destination is really used.
"""

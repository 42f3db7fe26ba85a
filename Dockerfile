# One image for web, worker and scheduler; docker-compose.yml says which each is.
FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=netadmin.settings \
    DATA_DIR=/app/var

WORKDIR /app

COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

COPY manage.py ./
COPY netadmin netadmin
COPY hosts hosts
COPY probes probes
COPY templates templates

# The keys live for this one command; the image holds none, and refuses to start without its own.
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin netadmin \
    && mkdir var \
    && SECRET_KEY="$(head -c 48 /dev/urandom | base64 -w0)" \
       FIELD_ENCRYPTION_KEYS="build:$(head -c 32 /dev/urandom | base64 -w0)" \
       python manage.py collectstatic --noinput --verbosity 0 \
    && chown -R netadmin:netadmin var

USER netadmin
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-m", "netadmin.ask", "healthz"]

CMD ["gunicorn", "netadmin.wsgi:application", "--bind", "0.0.0.0:8000", \
     "--worker-class", "gthread", "--workers", "2", "--threads", "16", \
     "--graceful-timeout", "4", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", \
     "--forwarder-headers", ""]

"""The same promise with FastAPI and arq: a delivery is verified, parsed and in Redis before it is answered with 202."""

import hashlib
import hmac
import json
import os
from contextlib import asynccontextmanager

from arq import create_pool
from arq.connections import RedisSettings
from fastapi import FastAPI, HTTPException, Request

SECRET = os.environ["SECRET"].encode()


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.queue = await create_pool(RedisSettings(unix_socket_path=os.environ["REDIS_SOCKET"]))
    yield
    await app.state.queue.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/netbox", status_code=202)
async def receive(request: Request):
    body = await request.body()
    wanted = hmac.new(SECRET, body, "sha512").hexdigest()
    if not hmac.compare_digest(wanted, request.headers.get("x-hook-signature", "")):
        raise HTTPException(401, "wrong signature")
    delivery = json.loads(body)
    data, event, kind, sender = delivery["data"], delivery["event"], delivery["object_type"], delivery["request"]
    job_id = hashlib.sha256(f"{kind} {data['id']} {event} {sender['id']}".encode()).hexdigest()
    change = {"type": kind, "id": data["id"], "event": event, "fabric": data["fabric"], "user": sender["user"]}
    job = await request.app.state.queue.enqueue_job("change", change, _job_id=job_id)
    return {"job_id": job_id, "delivery": "new" if job else "duplicate"}


@app.get("/readyz")
async def ready(request: Request):
    return {"redis": await request.app.state.queue.ping()}

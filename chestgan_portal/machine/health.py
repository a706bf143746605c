"""/health: this process answers. /ready: database and store answer too; what does not is named, and nothing else."""

from fastapi import APIRouter, Request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from chestgan_core.errors import ChestganError
from chestgan_core.store import keys

router = APIRouter()


@router.get("/health")
def health() -> dict[str, str]:
    """Always ok while the process lives."""
    return {"state": "ok"}


@router.get("/ready", responses={503: {"description": "a part does not answer"}})
def ready(request: Request) -> Response:
    """503 while a part does not answer."""
    parts = {"database": "ok", "store": "ok"}
    try:
        with request.app.state.engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError:
        parts["database"] = "does not answer"
    try:
        request.app.state.store().check(keys.sets_prefix())
    except ChestganError:
        parts["store"] = "does not answer"
    return JSONResponse(parts, 200 if set(parts.values()) == {"ok"} else 503)

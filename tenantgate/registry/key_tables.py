"""The table of the keys that the product makes for itself, each sealed under the master key."""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field

from tenantgate.registry.tables import Base


class ProductKey(Base, table=True):
    """One version of a product key. `sealed`: nonce and AES-256-GCM cipher text, base64url, behind a format number."""

    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    created_at: int = Field(sa_type=sa.BigInteger)
    created_by: str
    sealed: str

"""Files that steps make, a sender that brings them where they belong, and a workflow that is started for each.

    python examples/products.py

The bytes are kept beside the database, once for each step and file name, however often the step runs. Sending is a
delivery with attempts of its own: a step does not fail because the other side is down.
"""

import asyncio
import csv
import io
from typing import BinaryIO

import turbine


@turbine.step
async def write_report(month: str) -> str:
    table = io.StringIO()
    csv.writer(table).writerows([["month", "cents"], [month, 30000]])
    product = await turbine.send_product(f"{month}.csv", table.getvalue().encode(), {"month": month})
    return product.id


@turbine.workflow
async def report(month: str) -> str:
    return await write_report(month)


@turbine.workflow
async def archive(product: turbine.ProductRecord) -> str:
    """What `WorkflowSender` starts: exactly one run for each product."""
    return f"archived {product.file_name}, {product.size} bytes, {product.metadata}"


class Partner:
    """A sender of our own. It may be `async def` or `def`, and may be given the same product twice."""

    is_up = False

    async def send(self, product: turbine.ProductRecord, data: BinaryIO) -> None:
        if not self.is_up:
            raise ConnectionError("the partner is down")
        print(f"partner got {product.file_name}: {data.read().splitlines()[-1].decode()}")


async def settled(rt: turbine.Runtime, product_id: str) -> turbine.ProductRecord:
    """A product is sent in the background; its status tells what became of it."""
    while (product := await rt.products.get(product_id)).status == "stored":  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)
    return product


async def main() -> None:
    partner = Partner()
    rt = turbine.Runtime("sqlite:///products.db", workflows=[report, archive], delivery_attempts=1)
    rt.set_product_sender(partner)
    async with rt:
        product_id = await (await rt.run(report, "March")).result()
        product = await settled(rt, product_id)
        print(product.status, "-", product.error)

        partner.is_up = True
        await rt.products.resend(product_id)
        print((await settled(rt, product_id)).status)
        async with rt.products.open(product_id) as file:
            print((await file.read()).decode().splitlines())

        rt.set_product_sender(turbine.WorkflowSender(rt, archive))
        product_id = await (await rt.run(report, "April")).result()
        print((await settled(rt, product_id)).status)
        print(await rt.retrieve(f"product-{product_id}").result())


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# failed - ConnectionError: the partner is down
# partner got March.csv: March,30000
# sent
# ['month,cents', 'March,30000']
# sent
# archived April.csv, 26 bytes, {'month': 'April'}

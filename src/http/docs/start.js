"use strict";

// The operators' listener describes both; the page shows the calls that its listener serves. A call that somebody tries goes to the listener that served this page, whatever its address is: the description names the
// default addresses, and the page may not connect to another address.
async function start() {
  const spec = await (await fetch("/openapi.json")).json();
  const served = spec.servers.at(-1).url;
  for (const [path, item] of Object.entries(spec.paths)) {
    const isServed = item.servers.some((server) => server.url === served);
    delete item.servers;
    if (!isServed) delete spec.paths[path];
  }
  spec.servers = [{ url: location.origin, description: "The listener of this page" }];
  SwaggerUIBundle({
    spec,
    dom_id: "#description",
    deepLinking: true,
    displayOperationId: true,
    // The validator is a service on the internet.
    validatorUrl: null,
    // A token lives as long as the page.
    persistAuthorization: false,
  });
}

start();

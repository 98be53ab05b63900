"use strict";

// A call that somebody tries goes to the listener that served this page, whatever its address is: the description names the
// default addresses, and the page may not connect to another address.
async function start() {
  const spec = await (await fetch("/openapi.json")).json();
  spec.servers = [{ url: location.origin, description: "The listener of this page" }];
  Object.values(spec.paths).forEach((path) => delete path.servers);
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

"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#explorer",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
  // A command must have a name; one that nobody has used yet is what people mean by "try it out".
  requestInterceptor: (request) => {
    const headers = request.headers ?? {};
    if (request.method === "POST" && !headers["Idempotency-Key"]) {
      headers["Idempotency-Key"] = crypto.randomUUID();
    }
    return request;
  },
});

// Starts Swagger UI. A token that an operation returns authorizes all other operations, and the browser keeps it until
// someone logs out in the dialog "Authorize".
const RETURNS_TOKEN = ["/api/login/", "/api/token/refresh/", "/api/me/password/"];

const authorize = (access) => {
  const schema = { type: "http", scheme: "bearer", bearerFormat: "JWT" };
  window.ui.authActions.authorizeWithPersistOption({ jwtAuth: { name: "jwtAuth", schema, value: access } });
};

window.onload = () => {
  window.ui = SwaggerUIBundle({
    url: "/api/schema/?format=json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    layout: "StandaloneLayout",
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
    persistAuthorization: true,
    tryItOutEnabled: true,
    validatorUrl: "none",
    responseInterceptor: (response) => {
      const { pathname } = new URL(response.url, window.location.href);
      if (response.ok && RETURNS_TOKEN.includes(pathname)) authorize(response.obj.access);
      return response;
    },
  });
};

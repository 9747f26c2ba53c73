// Sends the reads of the API's page and shows their answers below them.
"use strict";

for (const form of document.querySelectorAll("form[data-path]")) {
  const answer = form.nextElementSibling;
  form.hidden = false;
  form.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    let path = form.dataset.path;
    const query = new URLSearchParams();
    for (const field of form.querySelectorAll("input[name]")) {
      if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
      else if (field.value) query.append(field.name, field.value);
    }
    const address = query.size > 0 ? `${path}?${query}` : path;
    answer.hidden = false;
    answer.textContent = `GET ${address}`;
    try {
      const got = await fetch(address, { headers: { Accept: "application/json" } });
      let body = await got.text();
      if ((got.headers.get("Content-Type") ?? "").includes("json")) body = JSON.stringify(JSON.parse(body), null, 2);
      answer.textContent = `GET ${address}\n${got.status} ${got.statusText}\n\n${body}`;
    } catch (error) {
      answer.textContent = `GET ${address}\n${error}`;
    }
  });
}

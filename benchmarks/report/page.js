
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const made = (tag, text, style) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (style) element.className = style;
    return element;
  };
  const isRight = (question, hits) => hits.some((hit) => question.right.includes(hit));

  function fillOutcomes() {
    const { questions } = data[at("collection").value];
    const systems = Object.keys(questions[0].systems);
    const found = (system) => (question) => isRight(question, question.systems[system].hits);
    const outcomes = [["all questions", () => true]];
    for (const system of systems) outcomes.push([`${system} finds nothing`, (each) => !found(system)(each)]);
    for (const system of systems) {
      const others = systems.filter((other) => other !== system);
      outcomes.push([`${system} alone finds one`, (each) => found(system)(each) && !others.some((other) => found(other)(each))]);
    }
    at("outcome").replaceChildren(...outcomes.map(([name]) => new Option(name)));
    return outcomes;
  }

  function showAnswer(collection, question, button) {
    for (const other of at("questions").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", "true");
    const panel = at("answer");
    panel.replaceChildren(made("h3", question.text));
    for (const [system, own] of Object.entries(question.systems)) {
      panel.append(made("h4", `${system}: ${collection.measure} ${own.value.toFixed(3)}`));
      const list = made("ol");
      for (const hit of own.hits) {
        const right = question.right.includes(hit);
        const item = made("li");
        item.append(made("span", right ? `✓ right: ${hit}` : hit, right ? "right" : ""));
        item.append(" ", made("span", collection.texts[hit] ?? "", "text"));
        list.append(item);
      }
      panel.append(own.hits.length ? list : made("p", "nothing found"));
    }
    const seen = new Set(Object.values(question.systems).flatMap((own) => own.hits));
    const missed = question.right.filter((doc) => !seen.has(doc));
    if (missed.length) {
      panel.append(made("h4", "right, and among no one's first five"));
      const list = made("ul");
      for (const doc of missed) {
        const item = made("li", doc);
        item.append(" ", made("span", collection.texts[doc] ?? "", "text"));
        list.append(item);
      }
      panel.append(list);
    }
  }

  function showQuestions() {
    const collection = data[at("collection").value];
    const wanted = at("filter").value.toLowerCase();
    const [, keep] = outcomes[Math.max(0, at("outcome").selectedIndex)];
    const shown = collection.questions.filter((each) => each.text.toLowerCase().includes(wanted) && keep(each));
    at("count").textContent = `${shown.length} of ${collection.questions.length} questions here, ${collection.all} were asked`;
    at("questions").replaceChildren(
      ...shown.map((question) => {
        const item = made("li");
        const button = made("button", question.text);
        button.type = "button";
        button.setAttribute("aria-pressed", "false");
        button.addEventListener("click", () => showAnswer(collection, question, button));
        item.append(button);
        return item;
      }),
    );
    at("answer").replaceChildren(made("p", "Choose a question to see each retriever's first five documents.", "note"));
  }

  at("collection").replaceChildren(...Object.keys(data).map((name) => new Option(name)));
  let outcomes = fillOutcomes();
  at("collection").addEventListener("change", () => {
    outcomes = fillOutcomes();
    showQuestions();
  });
  at("outcome").addEventListener("change", showQuestions);
  at("filter").addEventListener("input", showQuestions);
  document.querySelector("#explorer form").addEventListener("submit", (event) => event.preventDefault());
  showQuestions();
})();


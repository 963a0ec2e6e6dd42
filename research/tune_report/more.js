"use strict";

function drawMore(data) {
  const { search, panel, plateau, walk } = data.more;
  if (search) {
    for (const draw of [drawHistory, drawImportance, drawSlices, drawPairs, drawLines, drawFronts]) draw(search);
  }
  const its = search?.objectives[0] ?? { label: "score", unit: "ratio" };
  if (panel) {
    drawLogits(panel);
    drawPlacebo(panel, its);
    drawFolds(panel);
    drawMonteCarlo(panel);
    drawEntries(panel);
  }
  if (plateau) drawPlateau(plateau, its);
  if (walk) {
    drawWindows(walk, data.curves.equity);
    drawOver(walk);
  }
}

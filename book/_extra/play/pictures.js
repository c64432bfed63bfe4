/* Pictures of sounds and codes: a pixel an instant and a bin, stretched by the style sheet. */
const pictures = (() => {
  "use strict";

  /* 256 colours through matplotlib's maps, between colours read from them. */
  function palette(stops) {
    const colours = stops.split(" ").map((text) => [0, 2, 4].map((i) => parseInt(text.slice(i, i + 2), 16)));
    return Array.from({ length: 256 }, (_, i) => {
      const place = (i / 255) * (colours.length - 1);
      const below = Math.min(Math.floor(place), colours.length - 2);
      return colours[below].map((c, j) => c + (place - below) * (colours[below + 1][j] - c));
    });
  }

  const MAGMA = palette("000004 1d1147 51127c 832681 b73779 e75263 fc8961 fec488 fcfdbf");
  const VIRIDIS = palette("440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725");
  const [LOUDER, QUIETER] = [[213, 94, 0], [0, 114, 178]];

  /* Draw a matrix, its rows from left to right, its columns upwards. `colour` is called with a
     value and gives red, green, blue and, if it is not opaque, how opaque it is (0 to 255). */
  function draw(canvas, { rows, cols, data }, colour) {
    [canvas.width, canvas.height] = [rows, cols];
    const image = new ImageData(rows, cols);
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        const [red, green, blue, opaque = 255] = colour(data[row * cols + col]);
        image.data.set([red, green, blue, opaque], 4 * ((cols - 1 - col) * rows + row));
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  const shade = (map, value) => map[Math.max(0, Math.min(255, Math.round(255 * value)))];

  /* Decibels down to 70 below `top`. */
  const spectrogram = (canvas, decibels, top) =>
    draw(canvas, decibels, (value) => shade(MAGMA, 1 + (value - top) / 70));

  /* Magnitudes, relative to the largest. */
  const code = (canvas, values, largest) =>
    draw(canvas, values, (value) => shade(VIRIDIS, Math.abs(value) / largest));

  /* Differences in decibels; from 10 on the colour is full, at 0 the ground is seen. */
  const change = (canvas, decibels) =>
    draw(canvas, decibels, (value) => [
      ...(value > 0 ? LOUDER : QUIETER),
      Math.min(255, (255 * Math.abs(value)) / 10),
    ]);

  return { change, code, spectrogram };
})();

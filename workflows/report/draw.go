package report

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"breakglass/store"
)

// scale is how many dots of the file make one CSS pixel, for sharp text on the screens of phones and laptops.
const scale = 2

// paint is a colour as style sheets write it.
type paint uint32

// RGBA makes it a color.Color.
func (p paint) RGBA() (r, g, b, a uint32) {
	return uint32(p>>16&0xff) * 0x101, uint32(p>>8&0xff) * 0x101, uint32(p&0xff) * 0x101, 0xffff
}

// The colours of a picture. It has a dark ground of its own, so that it looks the same in a light mail and in a dark one; every text
// on it has a contrast of at least 4.5.
const (
	ground  paint = 0x1b2430
	band    paint = 0x243040 // behind the lanes, while there was access
	track   paint = 0x2f3c4d
	ink     paint = 0xf2f5f8
	faint   paint = 0xb3bfcc
	waiting paint = 0x8a97a6
	opened  paint = 0x5aa9f5
	longer  paint = 0x9ccdff
	changes paint = 0xffb454
	looks   paint = 0x7fd6a0
	refusal paint = 0xff8a80
)

// canvas is a picture being drawn. Its units are CSS pixels. The first thing that goes wrong is kept in err.
type canvas struct {
	*image.RGBA
	regular, bold, small font.Face
	err                  error
}

func newCanvas(w, h int) *canvas {
	c := &canvas{RGBA: image.NewRGBA(image.Rect(0, 0, w*scale, h*scale))}
	c.regular = c.face(goregular.TTF, 20)
	c.bold = c.face(gobold.TTF, 21)
	c.small = c.face(goregular.TTF, 16)
	draw.Draw(c.RGBA, c.Bounds(), image.NewUniform(ground), image.Point{}, draw.Src)
	return c
}

func (c *canvas) face(ttf []byte, size float64) font.Face {
	f, err := opentype.Parse(ttf)
	if err == nil {
		var face font.Face
		if face, err = opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72 * scale, Hinting: font.HintingNone}); err == nil {
			return face
		}
	}
	c.err = fmt.Errorf("reading the picture's font: %w", err)
	return nil
}

// box fills a rectangle.
func (c *canvas) box(x0, y0, x1, y1 float64, col paint) {
	r := image.Rect(int(x0*scale), int(y0*scale), max(int(x1*scale), int(x0*scale)+1), max(int(y1*scale), int(y0*scale)+1))
	draw.Draw(c.RGBA, r, image.NewUniform(col), image.Point{}, draw.Src)
}

// diamond is a mark around a point, of that half height.
func (c *canvas) diamond(x, y, size float64, col paint) {
	for dy := -size; dy <= size; dy += 0.5 {
		half := size - max(dy, -dy)
		c.box(x-half, y+dy, x+half, y+dy+0.5, col)
	}
}

// The sides of a text that stand at its place.
type side int

const (
	left side = iota
	middle
	right
)

// write puts text with its base line at y. Only text of our own is ever written: what people choose can be of any length and script.
func (c *canvas) write(face font.Face, x, y float64, at side, s string, col paint) {
	if face == nil {
		return
	}
	switch wide := c.width(face, s); at {
	case middle:
		x -= wide / 2
	case right:
		x -= wide
	}
	d := font.Drawer{Dst: c.RGBA, Src: image.NewUniform(col), Face: face, Dot: fixed.Point26_6{X: fixed.Int26_6(x * scale * 64), Y: fixed.Int26_6(y * scale * 64)}}
	d.DrawString(s)
}

func (c *canvas) width(face font.Face, s string) float64 {
	if face == nil {
		return 0
	}
	return float64(font.MeasureString(face, s)) / 64 / scale
}

// picture encodes what was drawn, with few enough colours to be small.
func (c *canvas) picture(name string) (store.Picture, error) {
	if c.err != nil {
		return store.Picture{}, c.err
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := enc.Encode(&b, c.reduced()); err != nil {
		return store.Picture{}, fmt.Errorf("encoding %s: %w", name, err)
	}
	return store.Picture{Name: name, Type: "image/png", Data: b.Bytes()}, nil
}

// reduced is the picture with a palette. The colours are flat and their edges are mixtures of two, so few are needed; where there are more
// than a palette holds, it stays as it is.
func (c *canvas) reduced() image.Image {
	const step = 0xf8 // drop the lowest three bits of each channel, which no eye sees at an edge
	place := map[color.RGBA]uint8{}
	var palette color.Palette
	out := image.NewPaletted(c.Bounds(), nil)
	for i := 0; i < len(c.Pix); i += 4 {
		if i > 0 && [4]byte(c.Pix[i:i+4]) == [4]byte(c.Pix[i-4:i]) { // nearly always
			out.Pix[i/4] = out.Pix[i/4-1]
			continue
		}
		k := color.RGBA{c.Pix[i] & step, c.Pix[i+1] & step, c.Pix[i+2] & step, 0xff}
		n, ok := place[k]
		if !ok {
			if len(palette) == 256 {
				return c
			}
			n = uint8(len(palette))
			place[k] = n
			palette = append(palette, color.RGBA{c.Pix[i], c.Pix[i+1], c.Pix[i+2], 0xff})
		}
		out.Pix[i/4] = n
	}
	out.Palette = palette
	return out
}
